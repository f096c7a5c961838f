"""Fills the disk under a talking gateway and empties it again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken
from tests.system.conftest import GatewayFactory

MEGABYTE = 1024 * 1024


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A real file system of four megabytes."""
    directory = Path(tempfile.mkdtemp(prefix="oca-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip("a file system can only be mounted by root")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)
    directory.rmdir()


def fill(disk: Path) -> Path:
    """Leave not one byte free."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_refuses_new_messages_loses_no_answer_and_heals(
    make_gateway: GatewayFactory, small_disk: Path
) -> None:
    gateway = make_gateway(config={"memory": {"storage_path": str(small_disk / "memory")}}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client, Client(gateway.ws_url) as health:
            before = await client.turn("before")
            running = await client.send("/demo slow 2")
            await client.expect("turn_started")
            filler = fill(small_disk)
            os.sync()
            # The answer of the running turn can be given, but not written: it is given, and said to be at risk.
            done = await client.expect("turn_done", messageId=running, deadline_s=20.0)
            assert done["status"] == "completed"
            await client.expect("notice", code="persistence_degraded", deadline_s=5.0)
            refused = await client.send("x" * 5_000, session="other")
            error = await client.expect("error", messageId=refused, deadline_s=20.0)
            assert error["code"] == "persistence_failed"
            unwell = await asyncio.to_thread(gateway.cli, "health")
            assert unwell.returncode == 1
            filler.unlink()
            for _ in range(40):
                again = await asyncio.to_thread(gateway.cli, "health")
                if again.returncode == 0:
                    break
            assert again.returncode == 0, again.stderr
            after = await client.turn("after", deadline_s=20.0)
            assert after["status"] == "completed"
            del health
            events = client.durable()
            assert_seqs_unbroken(events)
            assert_one_answer_each(events, [before["messageId"], running, after["messageId"]])

    asyncio.run(scene())
    assert gateway.stop() == 0
    gateway.restart()

    async def recall() -> None:
        async with Client(gateway.ws_url) as client:
            assert (await client.turn("/demo recall"))["text"] == "turns=3 first=before last=after"

    asyncio.run(recall())
    assert gateway.stop() == 0
