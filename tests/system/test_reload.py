"""A gateway that runs takes another configuration, as far as it can, and nothing of a broken one."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.system.api.client import Api
from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

TOKEN, OTHER = "hunter2-first", "hunter2-second"
FUZZ = int(os.environ.get("OPENCLAW_FUZZ_RELOADS", "40"))


class Reloading:
    """A running gateway, its configuration as a tree, and the token in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self.secret = directory / "token"
        self.secret.write_text(TOKEN)
        self.token = TOKEN
        self.config: dict[str, Any] = {
            "auth_token": f"file:{self.secret}",
            "tooling": {"allow_shell": False},
            "http": {"requests_per_minute_per_client": 1_000_000},
        }
        self.gateway = Gateway(directory / "0", config=self.config).start()

    @property
    def api(self) -> Api:
        return Api(self.gateway.http_url, token=self.token)

    def reload(self, *, dry_run: bool = False, **config: Any) -> dict[str, Any]:
        """Write the configuration with these sections, and have it taken."""
        self.config = {**self.config, **config}
        self.gateway.configure(self.config)
        return self.ask(dry_run=dry_run)

    def ask(self, *, dry_run: bool = False) -> dict[str, Any]:
        answer = self.api("POST", "/api/reload", {"dry_run": dry_run})
        assert answer.status == 200, answer
        body: dict[str, Any] = answer.body
        return body

    def pids(self) -> dict[str, int]:
        return {name: node["pid"] for name, node in self.gateway.nodes().items()}


@pytest.fixture(scope="module")
def running() -> Iterator[Reloading]:
    """One gateway for all tests of this module that leave it running on a good configuration."""
    directory = Path(tempfile.mkdtemp(prefix="oca-"))
    it = Reloading(directory)
    try:
        yield it
        it.gateway.stop()
    finally:
        it.gateway.close()
        shutil.rmtree(directory, ignore_errors=True)


def outcomes(done: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in done["actors"]}


def test_limits_hold_at_once_for_who_is_connected_and_replace_no_process(running: Reloading) -> None:
    async def scene() -> None:
        async with Client(running.gateway.ws_url, token=TOKEN) as client:
            assert (await client.turn("one"))["status"] == "completed"
            before = running.pids()
            done = running.reload(sessions={"rate_limit_per_minute": 1})
            assert (done["code"], outcomes(done)) == ("reloaded", {"router": "told", "sessions": "told"})
            assert (await client.turn("two"))["status"] == "completed"
            await client.send("three")
            assert (await client.expect("error"))["code"] == "rate_limited"
            done = running.reload(sessions={}, websocket={"messages_per_minute_per_connection": 1})
            assert outcomes(done) == {"router": "told", "sessions": "told", "websocket": "told"}
            await client.send("four")
            with pytest.raises(ConnectionClosed, match="rate limit exceeded"):
                await client.expect("turn_done")
            running.reload(websocket={})
            assert running.pids() == before

    asyncio.run(scene())


def test_a_live_conversation_and_a_new_one_have_the_tools_of_the_new_configuration(
    running: Reloading,
) -> None:
    shell = '/demo tool shell {"command": "echo $((40 + 2))"}'

    async def scene() -> None:
        async with Client(running.gateway.ws_url, session="tools", token=TOKEN) as client:
            assert "42" not in (await client.turn(shell))["text"]
            slow = await client.send("/demo slow 30")
            await client.expect("turn_started", messageId=slow)
            running.reload(tooling={"allow_shell": True})
            await client.stop_turn()
            await client.expect("turn_done", messageId=slow, status="stopped")
            assert "42" in (await client.turn(shell))["text"]
            assert "42" in (await client.turn(shell, session="another"))["text"]
            running.reload(tooling={"allow_shell": False})
            assert "42" not in (await client.turn(shell))["text"]

    asyncio.run(scene())


def test_what_dies_later_comes_up_on_what_is_in_force(running: Reloading) -> None:
    running.reload(websocket={"max_connections_per_ip": 1})

    async def second_is_refused() -> None:
        async with Client(running.gateway.ws_url, token=TOKEN) as first:
            assert (await first.turn("hello"))["status"] == "completed"
            second = Client(running.gateway.ws_url, token=TOKEN)
            await second.connect()
            with pytest.raises(ConnectionClosed, match="connection limit exceeded"):
                await second.next()

    def ready() -> bool:
        return running.gateway.cli("health", "--ready").returncode == 0

    for name in ("websocket", "admin"):  # the second is the death of the root
        pid = running.pids()["websocket"]
        running.gateway.kill(name)
        wait_until(lambda pid=pid: ready() and running.pids()["websocket"] != pid, what=f"{name} is back")
        asyncio.run(second_is_refused())
    assert outcomes(running.reload(websocket={})) == {"websocket": "told"}


def test_a_new_token_closes_the_connections_of_the_old_one(running: Reloading) -> None:
    async def scene() -> None:
        async with Client(running.gateway.ws_url, token=TOKEN) as client:
            await client.turn("hello")
            running.secret.write_text(OTHER)
            done = running.ask()
            assert [each["key"] for each in done["changes"]] == ["auth_token"]
            assert OTHER not in json.dumps(done)
            with pytest.raises(ConnectionClosed, match="token revoked"):
                await client.next()
        assert running.api("GET", "/api/status").status == 401
        running.token = OTHER
        assert running.api("GET", "/api/status").status == 200
        async with Client(running.gateway.ws_url, token=OTHER) as client:
            await client.turn("hello again")

    asyncio.run(scene())
    running.secret.write_text(TOKEN)
    running.ask()
    running.token = TOKEN


def test_who_follows_the_gateway_is_asked_to_come_again(running: Reloading) -> None:
    request = urllib.request.Request(
        f"{running.gateway.http_url}/api/events", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=30) as stream:
        first = stream.readline()
        many = {"requests_per_minute_per_client": 1_000_001}
        assert outcomes(running.reload(http=many)) == {"http": "told"}
        rest = stream.read().decode()  # to its end, which comes
    assert first
    assert "event: dropped" in rest
    assert "come again" in rest


def test_a_channel_that_cannot_listen_goes_back_alone_and_is_tried_again(running: Reloading) -> None:
    # The command line has the ports, so it is the address that changes.
    def by_command() -> dict[str, Any]:
        result = running.gateway.cli("reload", "--json")
        assert result.returncode == int("kept_old" in result.stdout), result.stderr
        done: dict[str, Any] = json.loads(result.stdout)
        return done

    ws, http = running.gateway.ws_url, running.gateway.http_url
    port = int(ws.rpartition(":")[2].partition("/")[0])
    before = running.pids()
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", port))
        running.gateway.configure({**running.config, "bind_address": "127.0.0.2"})
        done = by_command()
        assert done["code"] == "partly"
        assert outcomes(done) == {"websocket": "kept_old", "http": "restarted"}
        assert f"port {port} is in use" in next(
            each["text"] for each in done["actors"] if each["name"] == "websocket"
        )
        health = json.loads(running.gateway.cli("health", "--ready", "--json").stdout)
        assert health["healthy"]
        assert "websocket" in health["problems"][0]
        asyncio.run(_say_hello(ws))
        running.gateway.kill("admin")  # the next root comes up on just that, too
        wait_until(
            lambda: (
                running.gateway.cli("health", "--ready").returncode == 0
                and running.pids()["router"] != before["router"]
            ),
            what="the root is back",
        )
        asyncio.run(_say_hello(ws))
    assert outcomes(by_command()) == {"websocket": "restarted"}
    asyncio.run(_say_hello(ws.replace("127.0.0.1", "127.0.0.2")))
    running.gateway.configure(running.config)
    assert outcomes(by_command()) == {"websocket": "restarted", "http": "restarted"}
    asyncio.run(_say_hello(ws))
    assert Api(http, token=TOKEN)("GET", "/api/status").status == 200


async def _say_hello(url: str) -> None:
    async with Client(url, token=TOKEN) as client:
        assert (await client.turn("hello"))["status"] == "completed"


def test_the_http_channel_passes_the_answer_on_before_it_is_restarted(running: Reloading) -> None:
    pid = running.pids()["http"]
    done = running.reload(bind_address="localhost")
    assert outcomes(done) == {"websocket": "restarted", "http": "to_restart"}
    wait_until(lambda: running.pids()["http"] not in (pid, None), what="it is restarted after its answer")
    running.config.pop("bind_address")
    wait_until(lambda: Api(running.gateway.http_url, token=TOKEN)("GET", "/health").status == 200)
    running.gateway.configure(running.config)
    wait_until(lambda: running.gateway.cli("reload").returncode == 0, what="it is as before")


def test_broken_configurations_change_nothing_and_every_one_says_why(running: Reloading) -> None:
    assert running.ask()["code"] in ("reloaded", "unchanged")
    good = running.gateway.config_file.read_bytes()
    before = running.pids()
    source = random.Random(11)
    for number in range(FUZZ):
        data = bytearray(good)
        match number % 5:
            case 0:
                data = data[: source.randrange(len(data) // 2)] + b"\n: : ["
            case 1:
                data += source.choice((b"pord: 1\n", b"port: x\n", b"sessions: 3\n", b"llm: {timeout: 1}\n"))
            case 2:
                data[source.randrange(len(data))] = 0
            case 3:
                data = bytearray()
            case _:
                data += b"auth: {tokens: {alice: 'env:NEVER_SET'}}\n"
        running.gateway.config_file.write_bytes(data)
        done = running.ask()
        assert done["code"] == "refused", data
        assert done["problems"], data
    assert running.pids() == before
    health = running.gateway.cli("health", "--ready", "--json")
    assert health.returncode == 0
    assert "not taken" in json.loads(health.stdout)["problems"][0]
    shown = running.gateway.cli("reload")
    assert shown.returncode == 2
    assert "the gateway goes on" in shown.stderr
    running.gateway.config_file.write_bytes(good)
    assert running.ask()["code"] == "unchanged"
    assert json.loads(running.gateway.cli("health", "--json").stdout)["problems"] == []


def test_a_dry_run_shows_and_changes_nothing_and_a_signal_does_it(running: Reloading) -> None:
    asked = running.reload(dry_run=True, sessions={"max_live": 77}, memory={"fsync": False})
    assert asked["code"] == "dry_run"
    assert outcomes(asked) == {"router": "to_tell", "persistence": "to_restart"}
    before = running.pids()
    shown = running.gateway.cli("reload", "--check")
    assert shown.returncode == 0
    assert "sessions.max_live" in shown.stdout
    assert running.pids() == before
    os.kill(running.gateway.pid, signal.SIGHUP)
    wait_until(lambda: "reload: reloaded" in running.gateway.out.text(), what="start says what it did")
    after = running.pids()
    assert {name for name in before if before[name] != after.get(name)} == {"persistence"}
    assert running.reload(sessions={}, memory={})["code"] == "reloaded"


def test_a_broken_file_at_the_start_is_stood_in_for_by_the_last_good_one(
    make_gateway: GatewayFactory,
) -> None:
    config = {"auth_token": "env:OWN_TOKEN", "sessions": {"max_live": 33}}
    gateway = make_gateway(config=config, environment={"OWN_TOKEN": TOKEN}).start()
    kept = gateway.state_dir / "last-good.json"
    wait_until(kept.exists, what="what it runs on is kept")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in kept.read_text()
    gateway.config_file.write_text("sessions: [")
    assert gateway.cli("status").returncode == 0  # it is found all the same
    gateway.stop()

    refused = gateway.cli("start", "--demo", "--no-last-good")
    assert (refused.returncode, "not YAML" in refused.stderr) == (2, True)

    gateway.start()
    assert "NOT THE PRESENT CONFIGURATION" in gateway.out.text()
    assert "last good" in gateway.err.text()
    assert "not YAML" in gateway.log_text()
    health = gateway.cli("health", "--ready", "--json")
    assert health.returncode == 0
    assert "last good" in json.loads(health.stdout)["problems"][0]
    assert Api(gateway.http_url)("GET", "/api/status").status == 401
    assert Api(gateway.http_url, token=TOKEN)("POST", "/api/reload", {}).body["code"] == "refused"

    gateway.configure({**config, "sessions": {"max_live": 34}})
    done = Api(gateway.http_url, token=TOKEN)("POST", "/api/reload", {}).body
    assert [each["key"] for each in done["changes"]] == ["sessions.max_live"]
    assert json.loads(gateway.cli("health", "--json").stdout)["problems"] == []
    wait_until(lambda: '"max_live":34' in kept.read_text(), what="that is the last good one now")
    gateway.stop()


def test_what_only_a_start_changes_is_said_and_the_last_good_one_needs_the_secret_too(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    gateway = make_gateway(config={"auth_token": f"raw:{TOKEN}", "memory": {"fsync": True}}).start()
    gateway.configure({"auth_token": f"raw:{OTHER}", "memory": {"storage_path": str(tmp_path / "elsewhere")}})
    shown = gateway.cli("reload")
    assert shown.returncode == 0
    assert "memory.storage_path" in shown.stdout
    assert "NEEDS A RESTART OF THE GATEWAY" in shown.stdout
    assert TOKEN not in shown.stdout + gateway.log_text()
    assert OTHER not in shown.stdout + gateway.log_text()
    assert Api(gateway.http_url, token=OTHER)("GET", "/api/status").status == 200
    assert not (tmp_path / "elsewhere").exists()
    gateway.kill("websocket")  # the next one finds the new secret where `start` holds it
    wait_until(lambda: gateway.cli("health", "--ready").returncode == 0, what="it is back")
    gateway.config_file.write_text("auth_token: [")
    gateway.stop()
    refused = gateway.cli("start", "--demo")
    assert refused.returncode == 2
    assert "the last good configuration cannot stand in: it does not hold auth_token" in refused.stderr
