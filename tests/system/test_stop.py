"""Stops turns while the processes that have to stop them die: a stop holds, whatever is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from openclaw_actors.actorsystem import Endpoint
from openclaw_actors.errors import ActorError
from openclaw_actors.messages import GatewayHealth, GetHealth, Shutdown
from openclaw_actors.proctree import descendants
from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until


@pytest.mark.parametrize("victim", ["router", "websocket:local:main"])
def test_a_stop_that_meets_a_death_is_not_lost(make_gateway: GatewayFactory, victim: str) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url, session="main") as client:
            message_id = await client.send("/demo slow 60")
            await client.expect("assistant_chunk", deadline_s=30.0)
            await asyncio.to_thread(gateway.kill, victim)
            await client.stop_turn()
            done = await client.expect("turn_done", messageId=message_id, deadline_s=30.0)
            assert done["status"] == "stopped"
            assert (await client.turn("and now?"))["text"] == "echo: and now?"

    asyncio.run(scene())
    assert gateway.stop() == 0


def port_is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def supervisor_of(run: Path) -> str:
    """The address of a supervisor that no record names yet."""
    (boot,) = (path for path in run.iterdir() if path.is_dir())

    async def ask_all() -> str:
        async with Endpoint(boot) as endpoint:
            for path in sorted(boot.glob("a*")):
                with contextlib.suppress(ActorError):
                    if isinstance(await endpoint.ask(str(path), GetHealth(), timeout_s=5.0), GatewayHealth):
                        return str(path)
        raise AssertionError("nobody knows how the gateway is")

    return asyncio.run(ask_all())


def test_a_stop_that_comes_before_start_has_heard_that_all_is_ready_ends_it(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway()
    gateway.spawn()
    wait_until(lambda: len(descendants(gateway.pid)) > 2, what="a service")  # beside admin and supervisor
    os.kill(gateway.pid, signal.SIGSTOP)
    wait_until(lambda: all(port_is_open(port) for port in gateway.ports), what="both channels")
    supervisor = supervisor_of(gateway.run_dir)

    async def stop() -> None:
        async with Endpoint(Path(supervisor).parent) as endpoint:
            await endpoint.ask(supervisor, Shutdown(grace_s=0.0), timeout_s=30.0)

    asyncio.run(stop())
    wait_until(lambda: not any(port_is_open(port) for port in gateway.ports), what="the end of both channels")
    os.kill(gateway.pid, signal.SIGCONT)
    assert gateway.wait(deadline_s=8.0) == 0
    assert "built anew" not in gateway.err.text()
    gateway.check_nothing_left()


def use_up_inodes(directory: Path) -> Path:
    """Make files until the file system has no room for another; returns one of them."""
    for number in range(1_000):
        try:
            (directory / f"file-{number}").touch()
        except OSError:
            return directory / "file-0"
    raise AssertionError("there is room for ever")


@pytest.mark.parametrize("free", [0, 1])
def test_a_stop_holds_on_a_disk_that_has_no_room_for_another_file(
    make_gateway: GatewayFactory, free: int
) -> None:
    """With room for one: the command can ask the supervisor by a socket. With none it sends `start` a signal."""
    gateway = make_gateway(config={"supervision": {"ping_interval_seconds": 0.2}})
    disk = gateway.state_dir
    disk.mkdir(mode=0o700, parents=True)
    small = ["mount", "-t", "tmpfs", "-o", "size=16m,nr_inodes=200", "tmpfs", str(disk)]
    if subprocess.run(small, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    try:
        gateway.start()

        async def scene() -> None:
            async with Client(gateway.ws_url) as client:
                await client.turn("hello")
                running = await client.send("/demo slow 1")
                await client.expect("turn_started")
                filler = use_up_inodes(disk)
                if free:
                    filler.unlink()
                stopping = asyncio.create_task(asyncio.to_thread(gateway.cli, "stop"))
                # It drains, though no file can say that it does: the turn that runs may finish.
                done = await client.expect("turn_done", messageId=running, deadline_s=30.0)
                assert done["status"] == "completed"
                result = await stopping
                assert (result.returncode, result.stderr) == (0, "")

        asyncio.run(scene())
        assert gateway.wait() == 0
        assert "built anew" not in gateway.log_text()
        assert "Traceback" not in gateway.log_text()
        assert not gateway.processes()
    finally:
        gateway.close()
        subprocess.run(["umount", "-l", str(disk)], check=True)
