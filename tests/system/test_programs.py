"""Programs of tools, while everything around them is killed: each runs once, and none outlives its session."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

SESSION = "websocket:local:main"
SHELL = {"tooling": {"allow_shell": True}}
GONE_WITHIN_S = 30.0
LOADED_MACHINE = 15
"""By how much a machine may be slower that runs other things as well."""


class Mischief:
    """A command that counts its runs and leaves processes wherever it can."""

    def __init__(self, directory: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.file = directory / self.mark

    def command(self, *, last: str = "sleep 1000") -> str:
        return (
            f"export MARK={self.mark}; sleep 1000 & setsid sleep 1000 & nohup setsid sleep 1000 >/dev/null 2>&1 & "
            f"(setsid sh -c 'sleep 1000 & sleep 1000' &); echo run >> {self.file}; {last}"
        )

    @property
    def runs(self) -> int:
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    def processes(self) -> set[int]:
        """Those that carry its mark; its shell shows it in its command line."""
        return {
            int(path.name)
            for path in Path("/proc").glob("[0-9]*")
            if any(self.mark.encode() in _read(path / name) for name in ("environ", "cmdline"))
        }

    def wait_until_gone(self) -> None:
        wait_until(
            lambda: not self.processes(),
            deadline_s=GONE_WITHIN_S,
            what=f"processes are left: {self.processes()}",
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def shell(command: str, **more: object) -> str:
    return f"/demo tool shell {json.dumps({'command': command, **more})}"


async def started(mischief: Mischief) -> None:
    await asyncio.to_thread(wait_until, lambda: mischief.runs and len(mischief.processes()) >= 6)


def test_a_program_ends_with_whatever_was_killed_above_it_and_never_runs_twice(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    gateway = make_gateway(config=SHELL).start()

    async def scene(victim: str) -> None:
        mischief = Mischief(tmp_path)
        client = Client(gateway.ws_url, session="main")
        await client.connect()
        message_id = await client.send(shell(mischief.command(), timeout_seconds=600))
        await started(mischief)
        await asyncio.to_thread(gateway.kill, victim)
        await asyncio.to_thread(mischief.wait_until_gone)
        client.cut()
        if victim == "start":
            assert await asyncio.to_thread(gateway.wait) == -signal.SIGKILL
            await asyncio.to_thread(wait_until, lambda: not gateway.processes(), what="nothing is left")
            await asyncio.to_thread(gateway.start)
        done = await until_done(gateway, message_id)
        assert "Interrupted: the outcome of this call is unknown." in str(done["text"])
        assert mischief.runs == 1
        assert mischief.processes() == set()

    for victim in (SESSION, "router", "supervisor", "admin", "start"):
        asyncio.run(scene(victim))
    assert gateway.stop() == 0


async def until_done(gateway: Gateway, message_id: str) -> dict[str, object]:
    """Ask for the whole conversation until the message's turn stands in it."""
    async with asyncio.timeout(30.0):
        while True:
            try:
                async with Client(gateway.ws_url, session="main") as client:
                    await client.resume(last_seq=0)
                    return await client.expect("turn_done", messageId=message_id, deadline_s=30.0)
            except (OSError, AssertionError, WebSocketException):
                await asyncio.sleep(0.2)


STATES = {
    "waiting": "sleep 1000",
    "deaf": "trap '' TERM; sleep 1000; sleep 1000",
    "stopped": "kill -STOP $$",
    "spinning": "while :; do :; done",
    "talking": "yes",
}


def test_a_stop_ends_a_program_in_every_state_at_once(gateway_with_shell: Gateway, tmp_path: Path) -> None:
    async def scene(state: str) -> None:
        mischief = Mischief(tmp_path)
        async with Client(gateway_with_shell.ws_url, session="main") as client:
            message_id = await client.send(shell(mischief.command(last=STATES.get(state, "sleep 1000"))))
            await started(mischief)
            if state == "the session is stopped":
                os.kill(gateway_with_shell.pid_of(SESSION), signal.SIGSTOP)
            began = time.monotonic()
            await client.stop_turn()
            done = await client.expect("turn_done", messageId=message_id, deadline_s=30.0)
            assert done["status"] == "stopped"
            await asyncio.to_thread(mischief.wait_until_gone)
            assert time.monotonic() - began < LOADED_MACHINE * 1.0, state
            assert (await client.turn("and now?"))["text"] == "echo: and now?"
            assert mischief.runs == 1

    for state in (*STATES, "the session is stopped"):
        asyncio.run(scene(state))


@pytest.fixture
def gateway_with_shell(make_gateway: GatewayFactory) -> Gateway:
    return make_gateway(config=SHELL).start()


def test_an_orderly_end_leaves_no_program(gateway_with_shell: Gateway, tmp_path: Path) -> None:
    mischief = Mischief(tmp_path)

    async def scene() -> None:
        async with Client(gateway_with_shell.ws_url, session="main") as client:
            await client.send(shell(mischief.command()))
            await started(mischief)

    asyncio.run(scene())
    assert gateway_with_shell.stop("--grace", "0") == 0
    assert mischief.processes() == set()
    assert list((gateway_with_shell.state_dir / "tmp").iterdir()) == []


def test_what_a_program_prints_does_not_weigh_on_its_session(gateway_with_shell: Gateway) -> None:
    command = "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo the last line"

    async def scene() -> None:
        async with Client(gateway_with_shell.ws_url, session="main") as client:
            await client.turn("hello")
            before = rss(gateway_with_shell)
            done = await client.turn(shell(command), deadline_s=60.0)
            assert done["text"].startswith("shell: [exit: 0]\nxxx")
            assert "the last line\n[truncated]: " in done["text"]
            assert rss(gateway_with_shell) - before < 30_000_000

    asyncio.run(scene())
    assert gateway_with_shell.stop() == 0


def rss(gateway: Gateway) -> int:
    return int(gateway.nodes()[SESSION]["rss_bytes"])
