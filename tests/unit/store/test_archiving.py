"""Deleting, restoring and exporting conversations: none is lost, there twice, or has a number twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import NumbersSkipped
from openclaw_actors.messages.archive import ListArchives, PurgeArchives, ReadRecords
from openclaw_actors.messages.events import MessageAccepted, TurnDone
from openclaw_actors.store import StoreRefusal
from openclaw_actors.store.names import hashed_name
from tests.unit.store.archive_scene import ONE, TWO, archived, converse, listed, newest, texts
from tests.unit.store.scene import (
    KEY,
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

LONG = "x" * 210
"""A key whose file is named by its hash."""


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
