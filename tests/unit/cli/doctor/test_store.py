"""The store of a gateway that does not run is read without a lock and without a write."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_actors.actors.rundir import RunRecord, StateLock, write_record
from openclaw_actors.cli.doctor import leftovers, store
from openclaw_actors.cli.doctor.runner import Checked, repaired
from openclaw_actors.store import FileStore, StoreOptions
from tests.unit.cli.doctor.world import World, levels, told

HOLDER = """
import fcntl, socket, sys, time
held = [open(path, "a") for path in sys.argv[2:]]
for file in held:
    fcntl.flock(file, fcntl.LOCK_EX)
if sys.argv[1]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
print("held", flush=True)
time.sleep(60)
"""


class Holder:
    """A process that holds locks, and a socket, until it is ended."""

    def __init__(self, *locks: Path, listens: Path | None = None) -> None:
        command = [sys.executable, "-c", HOLDER, str(listens or ""), *map(str, locks)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def pid(self) -> int:
        return self.process.pid


@pytest.fixture
def filled(world: World) -> World:
    """A store that was written by the real thing, with one conversation."""
    world.make()

    async def fill() -> None:
        opened = FileStore.open(StoreOptions(path=world.state / "memory"))
        await opened.open_session("websocket:local:main")
        await opened.save_note("a", "b")
        opened.close()

    asyncio.run(fill())
    return world


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()
    }


def test_a_store_is_read_and_nothing_of_it_changes(filled: World) -> None:
    before = everything(filled.state)
    found = filled.see(store.look)
    assert levels(found) == {"ok"}
    assert everything(filled.state) == before


def test_no_store_yet(world: World) -> None:
    assert levels(world.see(store.look)) == {"info"}


def test_another_gateway_has_the_store(filled: World) -> None:
    with Holder(filled.state / "memory" / "store.lock") as holder:
        text = told(filled.see(store.look), "error")
    assert "is in use by" in text
    assert f"(pid {holder.pid})" in text


def test_a_newer_store_is_told(filled: World) -> None:
    (filled.state / "memory" / "format").write_text("99\n")
    assert "newer version (format 99" in told(filled.see(store.look), "error")
    (filled.state / "memory" / "format").write_text("x")
    assert "no format number" in told(filled.see(store.look), "error")


def test_quarantined_files_are_named_and_stay(filled: World) -> None:
    aside = filled.state / "memory" / "sessions" / "YQ.jsonl.quarantined-1700000000000"
    aside.write_text("damaged")
    found = filled.see(store.look)
    assert "1 damaged file, set aside: sessions/YQ.jsonl.quarantined-1700000000000" in told(found, "warning")
    assert all(each.repair is None for each in found)
    assert "began anew" in next(each.why for each in found if each.level == "warning")
    aside.unlink()
    (filled.state / "memory" / "contacts.json.quarantined-1700000000001").write_text("damaged")
    (contacts,) = (each for each in filled.see(store.look) if each.level == "warning")
    assert "until it says START" in contacts.why
    assert "began anew" not in contacts.why


async def take_over_contacts(memory: Path) -> None:
    opened = FileStore.open(StoreOptions(path=memory))
    await opened.contacts.get("+15550001111")
    opened.close()


def test_contacts_in_doubt_are_told(filled: World) -> None:
    """As the store leaves it behind after real damage."""
    memory = filled.state / "memory"
    (memory / "contacts.json").write_text("damaged")
    asyncio.run(take_over_contacts(memory))
    (told_of,) = (each for each in filled.see(store.look) if "who said STOP" in each.what)
    assert told_of.level == "warning"
    assert f"rm {memory / 'contacts-in-doubt.json'}" in told_of.remedy


def test_temporary_files_are_removed_where_no_gateway_can_be(filled: World) -> None:
    filled.make("run")
    left = filled.state / "memory" / "sessions" / ".YQ.json.12-3.tmp"
    left.write_text("half")
    (found,) = (each for each in filled.see(store.look) if each.repair is not None)
    with Holder(filled.state / "memory" / "store.lock"):
        assert "in use" in repaired(Checked("store", found)).not_fixed
        assert left.exists()
        assert all(each.repair is None for each in filled.see(store.look))
    assert repaired(Checked("store", found)).fixed == "removed 1 temporary file"
    assert not left.exists()
    assert list((filled.state / "run").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_somebody_else(filled: World) -> None:
    (note,) = (filled.state / "memory" / "notes").iterdir()
    os.chown(note, 12_345, 12_345)
    assert "1 files in" in told(filled.see(store.look), "error")


def test_without_fsync(world: World) -> None:
    world.configure({"memory": {"fsync": False}})
    assert "memory.fsync is false" in told(world.see(store.look), "warning")


# What a dead gateway left


def dead_record(world: World) -> RunRecord:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return RunRecord(
        boot="b1", pid=ended.pid, started_ticks=1, run_dir=str(world.state / "run" / "b1"), state="ready"
    )


def test_a_clean_run_directory(world: World) -> None:
    world.make("run")
    assert levels(world.see(leftovers.look)) == {"ok"}


def test_what_a_killed_gateway_left_is_removed(world: World) -> None:
    world.make("run", "run/b1")
    write_record(world.state / "run", dead_record(world))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(world.state / "run" / "b1" / "a1"))
    found = world.see(leftovers.look)
    assert "was killed (ready was the last that it said)" in told(found, "info")
    assert "1 dead socket of 1 boot" in told(found, "info")
    fixes = [repaired(Checked("run", each)).fixed for each in found]
    assert fixes.count("") == len(fixes) - 1
    assert list((world.state / "run").iterdir()) == []


def test_processes_that_survived_are_found_and_ended(world: World) -> None:
    world.make("run", "run/b1")
    with Holder(listens=world.state / "run" / "b1" / "a1") as holder:
        found = world.see(leftovers.look)
        assert f"1 process of a dead gateway still alive: {holder.pid}" in told(found, "error")
        (finding,) = (each for each in found if each.repair is not None)
        assert repaired(Checked("run", finding)).fixed
        assert holder.process.wait(10) == -9
    assert list((world.state / "run").iterdir()) == []


def test_nothing_is_cleaned_under_a_gateway_that_started_meanwhile(world: World) -> None:
    world.make("run", "run/b1")
    write_record(world.state / "run", dead_record(world))
    (finding,) = (each for each in world.see(leftovers.look) if each.repair is not None)
    lock = StateLock(world.state / "run")
    lock.acquire()
    try:
        assert "started meanwhile" in repaired(Checked("run", finding)).not_fixed
        assert (world.state / "run" / "b1").is_dir()
    finally:
        lock.release()


def test_a_lock_of_whom_nothing_is_known(world: World) -> None:
    world.make("run")
    with Holder(world.state / "run" / "lock") as holder:
        assert f"is held by pid {holder.pid}" in told(world.see(leftovers.look), "error")
