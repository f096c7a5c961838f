"""Where secrets are while the gateway runs: in the process that needs them, and in no other's memory."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.cli.handover import VARIABLE
from openclaw_actors.config.vault import fill_vault, vault_path
from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.proc import is_alive
from tests.system.providers.fake import FakeProvider

__all__: list[str] = []

CHUNK = 1 << 20


def made_up() -> str:
    """A value that stands nowhere else on this machine."""
    return f"hunter2-{secrets.token_hex(12)}"


def memory_holds(pid: int, values: list[str]) -> set[str]:
    """Which of these texts stand in a process's memory: heap, stack, anonymous maps, whatever can be read and written.

    Python keeps a text of ASCII as it is, so one form is enough.
    """
    found = set()
    wanted = [value.encode() for value in values]
    longest = max(map(len, wanted))
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        regions = [line.split(maxsplit=5) for line in maps]
        for bounds, *_ in (each for each in regions if each[1].startswith("rw")):
            begin, end = (int(each, 16) for each in bounds.split("-"))
            tail = b""
            for at in range(begin, end, CHUNK):
                try:
                    memory.seek(at)
                    data = memory.read(min(CHUNK, end - at)) or b""
                except OSError:
                    break  # unmapped meanwhile
                found |= {value.decode() for value in wanted if value in tail + data}
                tail = data[-longest:]
    return found


def holders(gateway: Gateway, *values: str) -> dict[str, set[str]]:
    """Value -> names of the processes that have it in memory; `start` and everything below it is looked at."""
    names = {node["pid"]: name for name, node in gateway.nodes().items() if node["pid"]}
    names |= {gateway.pid: "start", gateway.pid_of("admin"): "admin"}
    processes = gateway.processes()
    assert {process.pid for process in processes} >= names.keys()
    assert len(processes) >= 8
    found: dict[str, set[str]] = {value: set() for value in values}
    for process in processes:
        for value in memory_holds(process.pid, list(values)):
            found[value].add(names.get(process.pid, f"pid {process.pid}"))
    return found


def play(provider: FakeProvider, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(200), provider:
            await scene()

    asyncio.run(run())


def authorization(provider: FakeProvider) -> str:
    return provider.requests[-1].headers["authorization"]


def kill_and_wait(gateway: Gateway, name: str) -> None:
    """SIGKILL a service, and wait until its successor serves."""
    pid = gateway.kill(name)
    wait_until(
        lambda: (
            gateway.nodes()[name]["pid"] not in (None, pid) and gateway.nodes()[name]["state"] == "running"
        ),
        what=f"{name} runs again",
    )


def test_each_secret_is_in_the_memory_of_the_processes_that_need_it(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    key, token, raw, of_file, unused = (made_up() for _ in range(5))
    (tmp_path / "token").write_text(of_file)
    provider = FakeProvider()
    gateway = make_gateway(
        config={
            "llm": {"provider": "openai-compatible", "endpoint": provider.url},
            "auth": {"tokens": {"alice": f"raw:{raw}", "bob": f"file:{tmp_path}/token"}},
            "logging": {"level": "debug"},
        },
        environment={"OPENAI_API_KEY": key, "OPENCLAW_AUTH_TOKEN": token, "TWILIO_AUTH_TOKEN": unused},
        demo=False,
    ).start()

    async def scene() -> None:
        for shown in (token, raw, of_file):
            async with Client(gateway.ws_url, token=shown) as client:
                assert (await client.turn("hello"))["text"] == "echo: hello"
        assert authorization(provider) == f"Bearer {key}"
        tokens = {shown: {"websocket", "http"} for shown in (token, raw, of_file)}
        wanted = {key: {"model"}, unused: set(), **tokens}
        assert await asyncio.to_thread(holders, gateway, *wanted) == wanted

        for name in ("model", "websocket", "http", "supervisor"):
            await asyncio.to_thread(kill_and_wait, gateway, name)
            async with Client(gateway.ws_url, token=token) as client:
                assert (await client.turn(f"without {name}"))["text"] == f"echo: without {name}"
            assert authorization(provider) == f"Bearer {key}"
        assert await asyncio.to_thread(holders, gateway, *wanted) == wanted

    play(provider, scene)
    gateway.stop()
    for value in (key, token, raw, of_file, unused):
        assert value not in gateway.printed()


def test_who_reads_one_secret_of_a_vault_has_no_other_in_memory() -> None:
    mine, another = made_up(), made_up()
    # So often that what is freed cannot all be overwritten by chance.
    vault = fill_vault({"a": another * 1500, "b": mine, "c": another * 1500}, b"{}")
    script = (
        "import sys; from openclaw_actors.config.vault import read_secret;"
        "kept = read_secret(sys.argv[1], 'b'); print('read', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, vault_path(vault)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        try:
            assert reader.stdout.readline() == "read\n"
            assert memory_holds(reader.pid, [mine, another]) == {mine}
        finally:
            reader.stdin.close()
            os.close(vault)
    assert reader.returncode == 0


def test_a_restarted_actor_takes_what_the_file_holds_now(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    old, new = made_up(), made_up()
    file.write_text(old)
    provider = FakeProvider()
    llm = {"provider": "openai-compatible", "endpoint": provider.url, "api_key": f"file:{file}"}
    gateway = make_gateway(config={"llm": llm}, demo=False).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            await client.turn("one")
            assert authorization(provider) == f"Bearer {old}"
            file.write_text(new)
            await asyncio.to_thread(kill_and_wait, gateway, "model")
            await client.turn("two")
            assert authorization(provider) == f"Bearer {new}"
        found = await asyncio.to_thread(holders, gateway, old, new)
        assert found == {old: set(), new: {"model"}}

        pid = gateway.pid_of("model")
        file.unlink()
        os.kill(pid, signal.SIGKILL)
        reason = f"llm.api_key must be a reference that resolves (got file:{file})"
        await asyncio.to_thread(
            wait_until, lambda: reason in gateway.log_text(), what="the log says what is wrong"
        )
        file.write_text(new)
        async with Client(gateway.ws_url) as client:
            assert (await client.turn("three"))["text"] == "echo: three"

    play(provider, scene)
    gateway.stop()


def test_start_executes_itself_anew_once_and_says_everything_once(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(
        config={"plugins": {"native": {"calendar": {"max_events": 5}}}},
        environment={"OPENCLAW_AUTH_TOKEN": made_up()},
    ).start()
    assert [line.partition(" ")[0] for line in gateway.out.lines] == ["configuration:", "state:", "ready"]
    assert gateway.err.text().count("has no effect yet") == 1
    # The vault is start's alone, and no program that it runs inherits it.
    by_pid = {process.pid: vaults(process.pid) for process in gateway.processes()}
    assert {pid for pid, found in by_pid.items() if found} == {gateway.pid}
    (fd,) = by_pid[gateway.pid]
    flags = Path(f"/proc/{gateway.pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
    assert int(flags, 8) & os.O_CLOEXEC
    gateway.stop()


def vaults(pid: int) -> list[str]:
    """Descriptors of a process that are a vault's."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue  # closed meanwhile
        if target.startswith("/memfd:openclaw-actors-vault"):
            found.append(entry.name)
    return found


def test_without_a_secret_nothing_is_put_away(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()
    assert vaults(gateway.pid) == []
    gateway.stop()


def test_a_variable_from_outside_is_refused_and_hides_nothing(make_gateway: GatewayFactory) -> None:
    token = made_up()
    environment = {VARIABLE: "1:10", "OPENCLAW_AUTH_TOKEN": token}
    gateway = make_gateway(environment=environment).start()
    assert gateway.err.text() == f"Error: {VARIABLE} is ignored: only start itself sets it"
    assert holders_of_short_tree(gateway, token) == {"websocket", "http"}
    gateway.stop()


def holders_of_short_tree(gateway: Gateway, token: str) -> set[str]:
    names = {node["pid"]: name for name, node in gateway.nodes().items() if node["pid"]}
    return {
        names.get(each.pid, str(each.pid)) for each in gateway.processes() if memory_holds(each.pid, [token])
    }


@pytest.mark.parametrize("file", ["none", "plain"])
def test_a_variable_of_this_process_that_leads_elsewhere_ends_it(
    make_gateway: GatewayFactory, tmp_path: Path, file: str
) -> None:
    """It must not start over and over again, so it does not go on."""
    gateway = make_gateway(environment={"OPENCLAW_AUTH_TOKEN": made_up()})
    command, environment = gateway.cli_command("start", "--demo", "--port", "0", "--http-port", "0")
    (tmp_path / "plain").write_text("openclaw-actors vault 1\n")
    redirect = f" 9<{tmp_path}/plain" if file == "plain" else ""
    script = f'export {VARIABLE}=$$:9; exec "$@"{redirect}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *command],
        env=environment,
        cwd=gateway.directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {VARIABLE} does not lead to the secrets: ")
    assert done.stderr.count("\n") == 1
    assert not gateway.state_dir.exists()


def test_options_of_python_s_own_survive_and_a_closed_stdin_does_no_harm(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(environment={"OPENCLAW_AUTH_TOKEN": made_up()})
    command, environment = gateway.cli_command("start", "--demo", "--port", "0", "--http-port", "0")
    command[1:1] = ["-X", "dev", "-W", "ignore"]
    script = 'exec "$@" <&-'
    with subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", *command], env=environment, cwd=gateway.directory
    ) as process:
        try:
            record = gateway.state_dir / "run" / "current.json"
            wait_until(
                lambda: record.exists() and '"ready"' in record.read_text(), deadline_s=30, what="it is ready"
            )
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            assert line[:-1] == [os.fsencode(each) for each in command]
            assert vaults(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    assert not is_alive(process.pid)
