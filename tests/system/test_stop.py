"""Stops turns while the processes that have to stop them die: a stop holds, whatever is killed."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.system.client import Client
from tests.system.conftest import GatewayFactory


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
