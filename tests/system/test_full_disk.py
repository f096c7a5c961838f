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
from tests.system.gateway import wait_until

PAGE = 4096
ROOM_LEFT = 64
"""Bytes; less than any record needs."""


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


def journal_of(disk: Path) -> bytes:
    (path,) = (disk / "memory" / "sessions").glob("*.jsonl")
    return path.read_bytes()


def padding(journal: bytes) -> str:
    """Spaces that make the next message fill the last page of the journal: what follows it needs a new one."""
    lines = journal.splitlines(keepends=True)
    accepted = sum(len(line) for line in lines if b'"user"' in line or b'"turn_began"' in line)
    room = -(len(journal) + accepted) % PAGE
    return " " * (room - ROOM_LEFT if room > ROOM_LEFT else room + PAGE - ROOM_LEFT)


def test_a_full_disk_refuses_new_messages_loses_no_answer_and_heals(
    make_gateway: GatewayFactory, small_disk: Path
) -> None:
    config = {
        "memory": {"storage_path": str(small_disk / "memory")},
        "supervision": {"ping_interval_seconds": 0.3},
    }
    gateway = make_gateway(config=config).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            before = await client.turn("/demo slow 0.1")
            running = await client.send("/demo slow 2" + padding(journal_of(small_disk)))
            await client.expect("turn_started")
            filler = fill(small_disk)
            os.sync()
            # The answer of the running turn can be given, but not written: it is given, and said to be at risk.
            done = await client.expect("turn_done", messageId=running, deadline_s=30.0)
            assert done["status"] == "completed"
            await client.expect("notice", code="persistence_degraded", deadline_s=30.0)
            refused = await client.send("x" * 5_000, session="other")
            error = await client.expect("error", messageId=refused, deadline_s=30.0)
            assert error["code"] == "persistence_failed"
            await asyncio.to_thread(
                wait_until,
                lambda: gateway.cli("health", "--ready").returncode == 1,
                what="health tells of it",
            )
            filler.unlink()
            await asyncio.to_thread(
                wait_until,
                gateway.is_ready,
                deadline_s=30.0,
                what="it heals",
            )
            after = await client.turn("after", deadline_s=30.0)
            assert after["status"] == "completed"
            events = client.durable()
            assert_seqs_unbroken(events)
            assert_one_answer_each(events, [before["messageId"], running, after["messageId"]])

    asyncio.run(scene())
    assert gateway.stop() == 0
    gateway.restart()

    async def recall() -> None:
        async with Client(gateway.ws_url) as client:
            assert (await client.turn("/demo recall"))["text"] == "turns=3 first=/demo slow 0.1 last=after"

    asyncio.run(recall())
    assert gateway.stop() == 0


def test_an_answer_that_only_memory_holds_survives_the_death_of_the_store(
    make_gateway: GatewayFactory, small_disk: Path
) -> None:
    gateway = make_gateway(config={"memory": {"storage_path": str(small_disk / "memory")}}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            await client.turn("/demo slow 0.1")
            running = await client.send("/demo slow 1" + padding(journal_of(small_disk)))
            await client.expect("turn_started")
            filler = fill(small_disk)
            done = await client.expect("turn_done", messageId=running, deadline_s=30.0)
            await client.expect("notice", code="persistence_degraded", deadline_s=30.0)
            old = await asyncio.to_thread(gateway.kill, "persistence")
            await asyncio.to_thread(
                wait_until, lambda: gateway.nodes()["persistence"]["pid"] not in (None, old), what="a new one"
            )
            filler.unlink()
            after = await client.turn("after", deadline_s=30.0)
            assert_seqs_unbroken(client.durable())
            assert_one_answer_each(client.durable()[3:], [running, after["messageId"]])
            async with Client(gateway.ws_url) as other:
                await other.resume(0)
                await other.expect("turn_done", messageId=after["messageId"])
                assert done in other.events

    asyncio.run(scene())
    assert gateway.stop() == 0
