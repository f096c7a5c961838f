"""Deleting and restoring conversations: nothing is ever lost or there twice, wherever a crash or a bad disk comes."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import NumbersSkipped, UserSaid
from openclaw_actors.messages.archive import ArchiveSummary, ListArchives, PurgeArchives, ReadRecords
from openclaw_actors.messages.events import MessageAccepted, TurnDone
from openclaw_actors.messages.persistence import ListSessions
from openclaw_actors.store import FileStore, StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.names import hashed_name
from tests.unit.store.scene import (
    KEY,
    Faults,
    began,
    ended,
    journal_of,
    opened,
    refused,
    reopen,
    run,
    snapshot_of,
    turn,
    user,
)

ONE = "20260101T000000Z-00000001"
TWO = "20260102T000000Z-00000002"
LONG = "x" * 210
"""A key whose file is named by its hash."""


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


async def converse(store: FileStore, turns: int, *, key: str = KEY) -> None:
    """So many whole turns, behind whatever there is, and a snapshot."""
    opened_ = await store.open_session(key)
    state = decode_state(opened_.state)
    number, seq = state.number, state.seq
    for index in range(turns):
        message = f"m{seq}-{index}"
        records = (
            user(number + 1, seq + 1, message),
            began(number + 2, seq + 2, message),
            ended(number + 3, seq + 3, message),
        )
        await store.append(key, opened_.token, records, keep=False)
        number, seq = number + 3, seq + 3
    await store.close_session(key, opened_.token)


async def texts(store: FileStore, name: str = KEY) -> list[str]:
    """What people said in a conversation, read in small pages."""
    found: list[str] = []
    cursor = ""
    while True:
        page = await store.archives.read_records(ReadRecords(name=name, cursor=cursor, max_bytes=300))
        found += [record.text for record in page.records if isinstance(record, UserSaid)]
        cursor = page.cursor
        if not cursor:
            return found


async def archived(store: FileStore, name: str = "") -> list[ArchiveSummary]:
    return list((await store.archives.page(ListArchives(name=name))).archives)


async def listed(store: FileStore) -> list[str]:
    return [each.session for each in (await store.list_sessions(ListSessions())).sessions]


async def newest(store: FileStore, key: str = KEY) -> list[int]:
    return [event.seq for event in (await store.read_newest(key, 100)).events]


# What it does


@pytest.mark.parametrize("key", [KEY, LONG], ids=["plain", "hashed"])
def test_deleted_conversation_is_gone_archived_and_whole_after_its_restoration(
    tmp_path: Path, key: str
) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 3, key=key)
            said = await texts(store, key)
            await store.branches.save(key, "before")
            done = await store.archiving.archive(key, ONE)
            assert [(each.archive, each.session, each.turns) for each in done.archives] == [(ONE, key, 3)]
            assert await listed(store) == []
            assert await store.branches.of(key) == ()
            assert (await refused(store.read_newest(key, 5))).code == "unknown"
            assert await texts(store, ONE) == await texts(store, key) == said
            await store.archiving.restore(key, ONE, replaced_as="")
            assert await listed(store) == [key]
            assert await archived(store) == []
            assert await texts(store, key) == said
            assert [branch.name for branch in await store.branches.of(key)] == ["before"]
        assert (await reopen(tmp_path, key)).turns == 3

    run(scene())


def test_numbers_never_repeat_whatever_is_deleted_restored_and_purged(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)  # 1 to 6
            await store.archiving.archive(KEY, ONE)
            await converse(store, 1)  # 7 to 9
            assert await newest(store) == [7, 8, 9]
        with opened(tmp_path) as store:
            assert await newest(store) == [7, 8, 9]
            await store.archiving.restore(KEY, ONE, replaced_as=TWO)
            assert await newest(store) == [1, 2, 3, 4, 5, 6]
            await converse(store, 1)
            assert await newest(store) == [1, 2, 3, 4, 5, 6, 10, 11, 12]
        with opened(tmp_path) as store:
            assert await newest(store) == [1, 2, 3, 4, 5, 6, 10, 11, 12]
            await store.archiving.archive(KEY, "20260103T000000Z-00000003")
            await store.archives.purge(PurgeArchives(names=(KEY,)))
            assert await archived(store) == []
        with opened(tmp_path) as store:
            await converse(store, 1)
            assert await newest(store) == [13, 14, 15]

    run(scene())


def test_first_commit_that_a_crash_tore_keeps_the_numbers(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
            await store.archiving.archive(KEY, ONE)
        journal_of(tmp_path).write_bytes(b'{"crc":"0000')
        with opened(tmp_path) as store:
            await converse(store, 1)
            assert await newest(store) == [7, 8, 9]

    run(scene())


def test_archive_that_a_crash_left_with_a_torn_end_is_read_to_its_last_record(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
            await store.archiving.archive(KEY, ONE)
            with (tmp_path / "memory" / "archive" / hashed_name(KEY) / ONE / "session.jsonl").open(
                "ab"
            ) as file:
                file.write(b'{"crc":"0000')  # it was being restored, behind a newer conversation
            page = await store.archives.read_records(ReadRecords(name=ONE))
            assert [record.number for record in page.records] == [1, 2, 3, 4, 5, 6]

    run(scene())


def test_open_turns_are_ended_and_their_ends_told(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            session = await store.open_session(KEY)
            await store.append(
                KEY, session.token, (user(1, 1, "a"), began(2, 2, "a"), user(3, 3, "b")), keep=False
            )
            done = await store.archiving.archive(KEY, ONE)
            assert [(each.message_id, each.status, each.seq) for each in done.ended] == [
                ("a", "stopped", 4),
                ("b", "stopped", 5),
            ]
            again = await store.archiving.archive(KEY, ONE)
            assert again == done
            late = store.append(KEY, session.token, (ended(4, 4, "a"),), keep=True)
            assert (await refused(late)).code == "fenced"
            assert await store.open_turns() == ()
            assert not journal_of(tmp_path).exists()
        with opened(tmp_path) as store:
            assert await store.open_turns() == ()

    run(scene())


def test_append_that_waits_behind_the_move_does_not_bring_the_conversation_back(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            session = await store.open_session(KEY)
            await store.append(KEY, session.token, turn(0), keep=False)
            moving = asyncio.ensure_future(store.archiving.archive(KEY, ONE))
            late = [store.append(KEY, session.token, turn(1), keep=True) for _ in range(3)]
            await moving
            for each in late:
                try:
                    await each
                except StoreRefusal as refusal:
                    assert refusal.code == "fenced"  # noqa: PT017 - it may also have come before
            assert await listed(store) == []

    run(scene())


def test_other_conversation_is_not_replaced_unless_told(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 1)
            await store.archiving.archive(KEY, ONE)
            await converse(store, 2)
            assert (await refused(store.archiving.restore(KEY, ONE, replaced_as=""))).code == "exists"
            assert len(await texts(store)) == 2
            done = await store.archiving.restore(KEY, ONE, replaced_as=TWO)
            assert [each.archive for each in done.archives] == [TWO]
            assert len(await texts(store)) == 1
            assert len(await texts(store, TWO)) == 2
            again = await store.archiving.restore(KEY, ONE, replaced_as=TWO)
            assert again == done, "asked again after a crash, it is answered again"
            wrong = store.archiving.restore("websocket:local:other", TWO, replaced_as="")
            assert (await refused(wrong)).code == "unknown"

    run(scene())


def test_restored_conversation_goes_on_in_its_own_file(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
            await store.archiving.archive(KEY, ONE)
            await converse(store, 1)
            await store.archiving.restore(KEY, ONE, replaced_as=TWO)
            await converse(store, 1)
            assert len(await texts(store)) == 3
            assert len(await texts(store, TWO)) == 1
        with opened(tmp_path) as store:
            assert len(await texts(store)) == 3
            assert len(await texts(store, TWO)) == 1

    run(scene())


def test_unknown_conversation_is_not_deleted(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await store.open_session(KEY)
            assert (await refused(store.archiving.archive(KEY, ONE))).code == "unknown"
            assert (await refused(store.archives.read_records(ReadRecords(name=KEY)))).code == "unknown"
            assert await archived(store) == []

    run(scene())


def test_many_archives_of_one_key_are_listed_newest_first_and_purged_by_age(tmp_path: Path) -> None:
    async def scene() -> None:
        names = [f"2026010{day}T000000Z-0000000{day}" for day in range(1, 6)]
        with opened(tmp_path) as store:
            for turns, name in enumerate(names, 1):
                await converse(store, turns)
                await store.archiving.archive(KEY, name)
            assert [each.archive for each in await archived(store)] == names[::-1]
            page = await store.archives.page(ListArchives(offset=1, limit=2))
            assert ([each.archive for each in page.archives], page.total) == (names[3:1:-1], 5)
            would = await store.archives.purge(PurgeArchives(older_than_s=0.0, dry_run=True))
            assert [each.archive for each in would.archives] == names
            assert len(await archived(store)) == 5
            some = await store.archives.purge(PurgeArchives(older_than_s=0.0, limit=2))
            assert ([each.archive for each in some.archives], some.more) == (names[:2], True)
            unknown = store.archives.purge(PurgeArchives(names=(names[4], "nobody")))
            assert (await refused(unknown)).code == "unknown"
            assert (await refused(store.archives.purge(PurgeArchives()))).code == "bad_field"
            none = await store.archives.purge(PurgeArchives(older_than_s=3600.0))
            assert none.archives == ()
            assert len(await archived(store)) == 3
            await store.archives.purge(PurgeArchives(names=(names[4],)))
            assert [each.archive for each in await archived(store)] == names[3:1:-1]
            assert (await refused(store.archives.read_records(ReadRecords(name=names[4])))).code == "unknown"

    run(scene())


def test_archives_of_some_keys_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            for key, name in (("websocket:alice:a", ONE), ("websocket:alicette:a", TWO)):
                await converse(store, 1, key=key)
                await store.archiving.archive(key, name)
            page = await store.archives.page(ListArchives(prefix="websocket:alice:"))
            assert ([each.archive for each in page.archives], page.total) == ([ONE], 1)

    run(scene())


def test_quarantined_conversation_is_archived_as_such(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
        journal = journal_of(tmp_path)
        damaged = journal.read_bytes().replace(b"text of", b"teXt of", 1)
        journal.write_bytes(damaged)
        snapshot_of(tmp_path).unlink()
        with opened(tmp_path) as store:
            assert (await refused(store.open_session(KEY))).code == "corrupt"
            await converse(store, 1)
            done = await store.archiving.archive(KEY, ONE)
            assert sorted((each.archive, each.state) for each in done.archives) == [
                (ONE, "archived"),
                (f"{ONE}-1", "quarantined"),
            ]
            assert await listed(store) == []
            kept = tmp_path / "memory" / "archive" / hashed_name(KEY) / f"{ONE}-1" / "session.jsonl"
            assert kept.read_bytes() == damaged
            refusal = await refused(store.archiving.restore(KEY, f"{ONE}-1", replaced_as=""))
            assert refusal.code == "corrupt"

    run(scene())


def test_damaged_conversation_that_nobody_opened_can_be_deleted(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 2)
        snapshot_of(tmp_path).unlink()
        journal = journal_of(tmp_path)
        journal.write_bytes(journal.read_bytes().replace(b"text of", b"teXt of", 1))
        with opened(tmp_path) as store:
            done = await store.archiving.archive(KEY, ONE)
            assert [each.state for each in done.archives] == ["quarantined"]
            assert await listed(store) == []

    run(scene())


def test_old_gateways_conversation_stays_deleted(tmp_path: Path) -> None:
    old = tmp_path / "memory" / "sessions" / "d2Vic29ja2V0Om9sZA.json"
    old.parent.mkdir(parents=True)
    old.write_text(
        '{"id":"websocket:old","channelId":"websocket","senderId":"old","history":'
        '[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}'
    )
    key = "websocket:local:old"

    async def scene() -> None:
        with opened(tmp_path) as store:
            assert (await store.archiving.archive(key, ONE)).archives[0].turns == 1
            assert await listed(store) == []
        with opened(tmp_path) as store:
            assert await listed(store) == []
            assert decode_state((await store.open_session(key)).state).turns == 0
            await store.archiving.restore(key, ONE, replaced_as="")
            assert decode_state((await store.open_session(key)).state).turns == 1

    run(scene())


# Export


@pytest.mark.parametrize("newest_bytes", [1, 200, 1_000, 10**6])
def test_export_may_begin_near_the_end_with_a_whole_record(tmp_path: Path, newest_bytes: int) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 5)
            wanted = ReadRecords(name=KEY, newest_bytes=newest_bytes, max_bytes=10**6)
            page = await store.archives.read_records(wanted)
            numbers = [record.number for record in page.records]
            assert numbers, "at least one"
            assert numbers == list(range(numbers[0], 16))
            assert (numbers[0] == 1) == (newest_bytes == 10**6)
            assert page.cursor == ""

    run(scene())


def test_export_is_the_conversation_as_it_stood_at_its_first_page(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 5)
            first = await store.archives.read_records(ReadRecords(name=KEY, max_bytes=500))
            assert (first.turns, first.session, first.archive) == (5, KEY, "")
            await converse(store, 5)
            records = list(first.records)
            cursor = first.cursor
            while cursor:
                page = await store.archives.read_records(ReadRecords(name=KEY, cursor=cursor, max_bytes=500))
                records += page.records
                cursor = page.cursor
            assert [record.number for record in records] == list(range(1, 16))

    run(scene())


def test_export_notices_that_the_conversation_is_another_one(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 5)
            first = await store.archives.read_records(ReadRecords(name=KEY, max_bytes=500))
            await store.archiving.archive(KEY, ONE)
            await converse(store, 9)
            for cursor in (first.cursor, "nonsense", "9:3:x", "-1:-2:x:-1"):
                page = store.archives.read_records(ReadRecords(name=KEY, cursor=cursor))
                assert (await refused(page)).code == "changed"

    run(scene())


# Crashes and bad disks


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
        store = FileStore.open(_options(path), files=files)
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


def _options(path: Path) -> Any:
    from tests.unit.store.scene import options

    return options(path)


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
        store = FileStore.open(_options(path), files=files)
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


def test_skipped_numbers_are_nobodys_event(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await converse(store, 1)
            await store.archiving.archive(KEY, ONE)
            await converse(store, 1)
            await store.archiving.restore(KEY, ONE, replaced_as=TWO)
            page = await store.archives.read_records(ReadRecords(name=KEY))
            assert page.records[-1] == NumbersSkipped(number=4, at=page.records[-1].at, to_seq=6)
            events = (await store.read_events(KEY, after_seq=0, max_events=100, max_bytes=1 << 20)).events
            assert [type(event) for event in events][::2] == [MessageAccepted, TurnDone]
            assert decode_state((await store.open_session(KEY)).state).seq == 6

    run(scene())
