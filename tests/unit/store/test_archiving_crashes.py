"""Deleting and restoring: the conversation is in one place, whole, wherever a crash or a bad disk comes."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.messages.archive import ArchiveSummary, PurgeArchives
from openclaw_actors.store import FileStore, StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.names import hashed_name
from tests.unit.store.archive_scene import ONE, TWO, archived, converse, listed, newest, texts
from tests.unit.store.scene import (
    KEY,
    Faults,
    opened,
    options,
    refused,
    run,
    turn,
)


class PowerCut(BaseException):
    """Raised where the machine stops; nothing handles it."""


class Mortal(Files):
    """Real files until `left` changes were made, and then none any more."""

    def __init__(self, left: int = 1 << 30) -> None:
        super().__init__()
        self.left = left
        self.done: list[str] = []

    def _change(self, what: str) -> None:
        if self.left <= 0:
            raise PowerCut
        self.left -= 1
        self.done.append(what)

    def write_at(self, descriptor: int, data: bytes, offset: int) -> None:
        self._change("write")
        super().write_at(descriptor, data, offset)

    def cut(self, descriptor: int, length: int) -> None:
        self._change("cut")
        super().cut(descriptor, length)

    def rename(self, source: Path, target: Path) -> None:
        self._change(f"rename {target.name}")
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._change(f"remove {path.name}")
        super().remove(path)

    def make_directory(self, directory: Path) -> None:
        self._change("mkdir")
        super().make_directory(directory)

    def remove_directory(self, directory: Path) -> None:
        self._change("rmdir")
        super().remove_directory(directory)

    def flush_directory(self, directory: Path) -> None:
        self._change("flush directory")
        super().flush_directory(directory)


def _is_whole(state: list[str], archive: list[ArchiveSummary]) -> str:
    """Where the conversation is; it must be in one place."""
    assert (len(state) == 3) != (len(archive) == 1), (state, archive)
    return "archive" if archive else "sessions"


async def _look(path: Path) -> tuple[str, int]:
    """Where a new process finds the conversation, whole; and the highest number that it may have given."""
    with opened(path) as store:
        stored = await texts(store) if await listed(store) else []
        where = _is_whole(stored, await archived(store))
        branches = await store.branches.of(KEY)
        if where == "sessions":
            assert [branch.name for branch in branches] == ["kept"]
        else:
            assert branches == ()
            assert len(await texts(store, ONE)) == 3
        left = [each.name for each in (path / "memory" / "archive").iterdir()]
        assert "moving.json" not in left
        await converse(store, 1)
        seq = max(await newest(store))
        assert await refused(store.read_newest("websocket:local:nobody", 1))
    return where, seq


def _crash_everywhere(
    tmp_path: Path,
    prepare: Callable[[FileStore], Coroutine[Any, Any, Any]],
    act: Callable[[FileStore], Coroutine[Any, Any, Any]],
) -> list[str]:
    """Lets the machine stop after each change that `act` makes to the disk; says where a new process finds it."""
    found: list[str] = []
    original = tmp_path / "original"

    async def before() -> None:
        with opened(original) as store:
            await prepare(store)

    async def crash(path: Path, after: int) -> bool:
        files = Mortal()
        store = FileStore.open(options(path), files=files)
        try:
            files.left = after
            await act(store)
        except (PowerCut, asyncio.CancelledError):
            return True
        except StoreRefusal as refusal:
            if refusal.code == "unavailable" and files.left <= 0:
                return True
            raise
        finally:
            files.left = 0
            _die(store)
        return False

    run(before())
    for after in range(200):
        path = tmp_path / f"after-{after}"
        shutil.copytree(original, path)
        crashed = run(crash(path, after))
        where, seq = run(_look(path))
        assert seq == 12 if where == "sessions" else seq >= 12
        found.append(where)
        shutil.rmtree(path)
        if not crashed:
            return found
    raise AssertionError("it never ended")


def _die(store: FileStore) -> None:
    """What the kernel does to a process's locks and threads; nothing is written any more."""
    store._lock.release()
    store._end_threads()


async def _three_turns_and_a_branch(store: FileStore) -> None:
    await converse(store, 3)
    await store.branches.save(KEY, "kept")


def test_power_cut_at_any_step_of_a_deletion(tmp_path: Path) -> None:
    found = _crash_everywhere(
        tmp_path, _three_turns_and_a_branch, lambda store: store.archiving.archive(KEY, ONE)
    )
    assert len(found) > 15
    moved = found.index("archive")
    assert set(found[:moved]) == {"sessions"}
    assert set(found[moved:]) == {"archive"}


def test_power_cut_at_any_step_of_a_restoration(tmp_path: Path) -> None:
    async def prepare(store: FileStore) -> None:
        await _three_turns_and_a_branch(store)
        await store.archiving.archive(KEY, ONE)

    found = _crash_everywhere(
        tmp_path, prepare, lambda store: store.archiving.restore(KEY, ONE, replaced_as="")
    )
    assert len(found) > 10
    moved = found.index("sessions")
    assert set(found[:moved]) == {"archive"}
    assert set(found[moved:]) == {"sessions"}


def test_power_cut_while_an_archive_is_purged_ends_in_its_removal(tmp_path: Path) -> None:
    async def prepare(path: Path) -> None:
        with opened(path) as store:
            await _three_turns_and_a_branch(store)
            await store.archiving.archive(KEY, ONE)

    async def crash(path: Path, after: int) -> bool:
        files = Mortal()
        store = FileStore.open(options(path), files=files)
        files.left = after
        try:
            await store.archives.purge(PurgeArchives(names=(ONE,)))
        except PowerCut:
            return True
        finally:
            files.left = 0
            _die(store)
        return False

    async def look(path: Path) -> int:
        with opened(path) as store:
            count = len(await archived(store))
            if count:
                assert len(await texts(store, ONE)) == 3
            else:
                place = path / "memory" / "archive" / hashed_name(KEY)
                assert [each.name for each in place.iterdir()] == ["numbers.json"]
            await converse(store, 1)
            assert await newest(store) == [10, 11, 12]
            return count

    counts = []
    for after in range(100):
        path = tmp_path / str(after)
        run(prepare(path))
        crashed = run(crash(path, after))
        counts.append(run(look(path)))
        if not crashed:
            break
    assert counts[0] == 1
    assert counts[-1] == 0
    assert sorted(counts, reverse=True) == counts


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_bad_disk_leaves_the_conversation_where_it_was(tmp_path: Path, code: int) -> None:
    async def scene(step: str, part: str) -> bool:
        path = tmp_path / f"{step}-{part}".replace("/", "_")
        files = Faults()
        with opened(path, files) as store:
            await _three_turns_and_a_branch(store)
            files.steps.clear()
            files.fail(step, code, path=part, times=1)
            failed = await asyncio.wait([asyncio.ensure_future(store.archiving.archive(KEY, ONE))])
            error = next(iter(failed[0])).exception()
            if error is not None:
                assert isinstance(error, StoreRefusal)
                assert error.code in ("unavailable", "persistence_failed")
                assert len(await texts(store)) == 3
                assert await archived(store) == []
                assert [branch.name for branch in await store.branches.of(KEY)] == ["kept"]
                await converse(store, 1)
                await store.archiving.archive(KEY, TWO)
                assert len(await texts(store, TWO)) == 4
            assert await listed(store) == []
        return error is not None

    steps = [
        ("write", "moving.json"),
        ("write", "numbers.json"),
        ("write", "about.json"),
        ("rename", "branches"),
        ("rename", "session.json"),
        ("rename", "session.jsonl"),
        ("flush directory", ONE),
        ("flush directory", "sessions"),
    ]
    failures = [run(scene(step, part)) for step, part in steps]
    assert failures == [True] * len(steps)


def test_deletion_waits_for_records_that_only_memory_has(tmp_path: Path) -> None:
    async def scene() -> None:
        files = Faults()
        with opened(tmp_path, files, write_attempts=1) as store:
            session = await store.open_session(KEY)
            await store.append(KEY, session.token, turn(0), keep=False)
            files.fail("write", errno.ENOSPC, path="sessions")
            assert not (await store.append(KEY, session.token, turn(1), keep=True)).durable
            assert (await refused(store.archiving.archive(KEY, ONE))).code == "dirty"
            assert len(await texts(store)) == 2
            files.heal()
            await store.flush(deadline_s=5.0)
            await store.archiving.archive(KEY, ONE)
            assert len(await texts(store, ONE)) == 2

    run(scene())


def test_damaged_count_of_events_leaps_instead_of_repeating(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
            await store.archiving.archive(KEY, ONE)
        numbers = tmp_path / "memory" / "archive" / hashed_name(KEY) / "numbers.json"
        numbers.write_bytes(b"{}")
        with opened(tmp_path) as store:
            await converse(store, 1)
            first = (await newest(store))[0]
            assert first > 1_000_000_000_000
        with opened(tmp_path) as store:
            await converse(store, 1)
            assert await newest(store) == list(range(first, first + 6))

    run(scene())


def test_archive_whose_description_is_damaged_is_still_there(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
            await store.archiving.archive(KEY, ONE)
        about = tmp_path / "memory" / "archive" / hashed_name(KEY) / ONE / "about.json"
        about.write_bytes(b"nonsense")
        with opened(tmp_path) as store:
            assert [(each.archive, each.session) for each in await archived(store)] == [(ONE, KEY)]
            await store.archiving.restore(KEY, ONE, replaced_as="")
            assert len(await texts(store)) == 2

    run(scene())
