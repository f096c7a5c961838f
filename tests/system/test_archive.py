"""Deleting, restoring and exporting conversations of a running gateway; stopping actors; a drain that can be undone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclaw_actors.core.records import encode_record
from openclaw_actors.store.journal import frame, header_line
from tests.system.cli.terminal import Terminal
from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.unit.store.scene import turn

KEY = "websocket:local:main"


# What `ru_maxrss` says of a child includes what its parent had when it forked.
TELLS_ITS_MEMORY = """
import atexit, runpy, sys
atexit.register(lambda: sys.stderr.write(open("/proc/self/status").read()))
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def data(gateway: Gateway, *arguments: str, deadline_s: float = 60.0) -> Any:
    """What a command prints as JSON; it must succeed."""
    result = gateway.cli(*arguments, "--json", deadline_s=deadline_s)
    assert result.returncode == 0, f"{result.stderr}\n{gateway.printed()}"
    return json.loads(result.stdout)


async def in_thread(gateway: Gateway, *arguments: str) -> Any:
    return await asyncio.to_thread(data, gateway, *arguments)


def stored(gateway: Gateway, *arguments: str) -> list[str]:
    return [each["session"] for each in data(gateway, "sessions", "list", *arguments)["sessions"]]


def exported(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    result = gateway.cli("sessions", "export", name)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def said(records: Sequence[dict[str, Any]]) -> list[str]:
    return [record["text"] for record in records if record.get("kind") == "user"]


def test_conversation_deleted_in_mid_turn_stays_deleted_and_its_key_begins_anew(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            await client.turn("hello")
            slow = await client.send("/demo slow 60")
            waits = await client.send("behind it")
            await client.expect("assistant_chunk")
            done = await in_thread(gateway, "sessions", "delete", KEY, "--yes")
            assert [each["session"] for each in done["archives"]] == [KEY]
            for message_id in (slow, waits):
                await client.expect("turn_done", messageId=message_id, status="stopped")
            await client.expect("notice", code="session_restarted")
            assert await asyncio.to_thread(stored, gateway) == []
            before = client.last_seq
            answer = await client.turn("/demo recall")
            assert answer["text"].startswith("turns=0")
            assert answer["seq"] == before + 3
            assert_seqs_unbroken(client.durable())
            assert len(client.done()) == 4

        kept = await asyncio.to_thread(exported, gateway, done["archives"][0]["archive"])
        assert said(kept) == ["hello", "/demo slow 60", "behind it"]
        assert kept[0]["archive"] == done["archives"][0]["archive"]

    asyncio.run(scene())
    refused = gateway.cli("sessions", "restore", KEY)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    done = data(gateway, "sessions", "restore", KEY, "--replace")
    assert len(done["replaced"]) == 1
    assert said(exported(gateway, KEY)) == ["hello", "/demo slow 60", "behind it"]
    gateway.stop()
    gateway.start()

    async def after() -> None:
        async with Client(gateway.ws_url) as client:
            await client.resume(0)
            answer = await client.turn("/demo recall")
            assert answer["text"] == "turns=3 first=hello last=behind it"
            seqs = [event["seq"] for event in client.durable()]
            assert seqs == sorted(set(seqs))
            numbers_of_the_other_conversation = set(range(9, 12))
            assert not numbers_of_the_other_conversation & set(seqs), seqs

    asyncio.run(after())


def test_client_that_was_away_resumes_into_the_new_conversation(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            for text in ("one", "two", "three"):
                await client.turn(text)
            last = client.last_seq
        await in_thread(gateway, "sessions", "delete", KEY, "--yes")
        for known in (2, last, None):
            async with Client(gateway.ws_url) as client:
                await client.resume(known)
                answer = await client.turn(f"known {known}", deadline_s=30.0)
                fresh = [event["seq"] for event in client.durable() if event["seq"] > last]
                assert fresh[-1] == answer["seq"]
                assert fresh == list(range(fresh[0], fresh[0] + len(fresh)))
        async with Client(gateway.ws_url) as client:
            await client.resume(2)
            await client.turn("the end")
            assert_seqs_unbroken(client.durable(), first=last + 1)

    asyncio.run(scene())


def test_spinning_session_is_deleted_and_who_waits_is_told(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo spin")
            await client.expect("turn_started")
            await in_thread(gateway, "sessions", "delete", KEY, "--yes", "--purge")
            await client.expect("turn_done", messageId=message_id, status="stopped", code="deleted")
            assert (await client.turn("hello"))["text"] == "echo: hello"
            assert_seqs_unbroken(client.durable())
            assert_one_answer_each(client.durable(), [message_id, client.done()[-1]["messageId"]])

    asyncio.run(scene())
    assert data(gateway, "sessions", "archived") == {"archives": [], "total": 0}


def test_deletion_survives_the_death_of_persistence(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello").returncode == 0
    pid = gateway.pid_of("persistence")
    os.kill(pid, signal.SIGSTOP)
    command, environment = gateway.cli_command("sessions", "delete", KEY, "--yes", "--json")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as deleting:
        wait_until(lambda: gateway.nodes().get(KEY, {}).get("state") == "moving", what="it is moving")
        os.kill(pid, signal.SIGKILL)
        out, _ = deleting.communicate(timeout=30.0)
        assert deleting.returncode == 0
    archives = data(gateway, "sessions", "archived")["archives"]
    assert [each["archive"] for each in archives] == [each["archive"] for each in json.loads(out)["archives"]]
    assert stored(gateway) == []
    assert gateway.cli("send", "/demo recall").stdout.startswith("turns=0")


def test_long_conversation_is_exported_in_pages_whatever_dies(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    turns = 15_000
    gateway = make_gateway()
    journal = gateway.state_dir / "memory" / "sessions" / "d2Vic29ja2V0OmxvY2FsOm1haW4.jsonl"
    journal.parent.mkdir(parents=True)
    with journal.open("wb") as file:
        file.write(header_line(KEY))
        for index in range(turns):
            file.writelines(
                frame([encode_record(record) for record in turn(index, text="x" * 1_200)], [1] * 3)
            )
    assert journal.stat().st_size > 20_000_000
    gateway.start()

    command, environment = gateway.cli_command("sessions", "export", KEY)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as exporting:
        assert exporting.stdout is not None
        lines = [exporting.stdout.readline() for _ in range(2_000)]
        gateway.kill("persistence")
        lines += exporting.stdout.readlines()
        assert exporting.wait(30.0) == 0
    numbers = [json.loads(line)["number"] for line in lines[1:]]
    assert numbers == list(range(1, 3 * turns + 1))

    gateway.cli("sessions", "delete", KEY, "--yes", deadline_s=60.0)
    path = tmp_path / "kept.json"
    command, environment = gateway.cli_command("sessions", "export", KEY, "--format", "json", "-o", str(path))
    python, _, module, *arguments = command
    measured = [python, "-c", TELLS_ITS_MEMORY, module, *arguments]
    done = subprocess.run(measured, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    largest_kb = int(done.stderr.rpartition("VmHWM:")[2].split()[0])
    document = json.loads(path.read_text())
    assert (document["schema"], document["version"], document["turns"]) == (
        "openclaw-actors.session",
        1,
        turns,
    )
    assert document["records"] == [json.loads(line) for line in lines[1:]]
    assert path.stat().st_mode & 0o777 == 0o600
    assert largest_kb < 150_000, "the whole conversation was in memory"


def test_deletion_asks_a_person_and_nobody_else(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello").returncode == 0
    unasked = gateway.cli("sessions", "delete", KEY)
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    command, environment = gateway.cli_command("sessions", "delete", KEY)
    with Terminal(command, environment, gateway.directory) as terminal:
        terminal.wait_for("Delete websocket:local:main?")
        terminal.enter("n")
        assert terminal.process.wait(30.0) == 1
    assert stored(gateway) == [KEY]
    unknown = gateway.cli("sessions", "delete", "websocket:local:mian", "--yes")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert KEY in unknown.stderr
    with Terminal(command, environment, gateway.directory) as terminal:
        terminal.wait_for("Delete websocket:local:main?")
        terminal.enter("y")
        assert terminal.process.wait(30.0) == 0
    assert stored(gateway) == []
    assert gateway.cli("sessions", "purge", "--dry-run").returncode == 2
    assert len(data(gateway, "sessions", "purge", KEY, "--yes")["archives"]) == 1
    assert gateway.cli("sessions", "restore", KEY).returncode == 1


def test_list_filters_and_sorts(gateway: Gateway) -> None:
    for name in ("b", "a"):
        assert gateway.cli("send", f"hello {name * 500}", "--session", name).returncode == 0
    a, b = "websocket:local:a", "websocket:local:b"
    done = data(gateway, "actors", "stop", b)
    assert done["code"] == "stopped"
    assert stored(gateway) == [a, b]
    assert stored(gateway, "--live") == [a]
    assert stored(gateway, "--state", "stored") == [b]
    assert stored(gateway, "--state", "quarantined") == []
    assert stored(gateway, "--sort", "key", "--reverse") == [b, a]
    assert data(gateway, "actors", "stop", b)["code"] == "asleep"
    assert data(gateway, "sessions", "stop", b)["code"] == "nothing_to_stop"
    assert gateway.cli("sessions", "stop", "nobody").returncode == 1
    assert gateway.nodes()["router"]["doing"] == "1 session"


def test_channel_stays_stopped_until_it_is_restarted(gateway: Gateway) -> None:
    for name in ("supervisor", "persistence", "model", "router"):
        refused = gateway.cli("actors", "stop", name)
        assert refused.returncode == 1
        assert f"actors restart {name}" in refused.stderr
    assert data(gateway, "actors", "stop", "websocket")["code"] == "stopped"
    assert gateway.nodes()["websocket"]["state"] == "stopped"
    assert gateway.cli("health", "--ready").returncode == 1
    assert data(gateway, "actors", "restart", "websocket")["code"] == "restarted"
    wait_until(gateway.is_ready, what="it is ready again")
    assert gateway.cli("send", "hello").stdout == "echo: hello\n"


def test_session_with_a_turn_is_not_stopped_as_an_actor(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo hang")
            await client.expect("turn_started")
            refused = await asyncio.to_thread(gateway.cli, "actors", "stop", KEY)
            assert refused.returncode == 1
            assert "sessions stop" in refused.stderr
            await client.stop_turn()
            done = await client.expect("turn_done", messageId=message_id)
            assert done["status"] == "stopped"

    asyncio.run(scene())


def test_drain_refuses_what_is_new_until_it_is_cancelled(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            running = await client.send("/demo slow 3")
            await client.expect("assistant_chunk")
            assert (await in_thread(gateway, "drain"))["code"] == "draining"
            await client.expect("notice", code="draining")
            late = await client.send("too late")
            await client.expect("error", code="draining", messageId=late)
            status = await asyncio.to_thread(gateway.status)
            assert status["draining"]
            if not client.done():  # it may have come before the refusal
                await client.expect("turn_done", messageId=running)
            (done,) = client.done()
            assert (done["messageId"], done["status"]) == (running, "completed")
            await asyncio.to_thread(gateway.kill, "router")
            async with asyncio.timeout(30.0):
                while (await asyncio.to_thread(gateway.nodes))["router"]["state"] != "running":
                    pass
            again = await client.send("still too late")
            await client.expect("error", code="draining", messageId=again)
            assert (await in_thread(gateway, "drain", "--cancel"))["code"] == "serving"
            assert (await client.turn("hello"))["text"] == "echo: hello"

    asyncio.run(scene())
    assert gateway.cli("send", "hello").stdout == "echo: hello\n"
