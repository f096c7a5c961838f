"""Snapshots: when they are written, that they agree with their journals, and what a bad one costs: nothing."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw_actors.core.conversation import Conversation, apply, decode_state
from openclaw_actors.store.files import Files
from openclaw_actors.store.journal import decode_line, lines, load
from openclaw_actors.store.snapshot import is_snapshot, read_snapshot
from tests.unit.store.scene import (
    DEADLINE_S,
    KEY,
    Faults,
    as_json,
    journal_of,
    opened,
    refused,
    reopen,
    run,
    snapshot_of,
    turn,
    until,
)


async def talk(path: Path, turns: int, **changes: object) -> Conversation:
    """A conversation of so many turns, with a snapshot at its end."""
    with opened(path, **changes) as store:
        token = (await store.open_session(KEY)).token
        for index in range(turns):
            await store.append(KEY, token, turn(index), keep=False)
        await store.close_session(KEY, token)
        return decode_state((await store.open_session(KEY)).state)


def assert_agrees_with_its_journal(path: Path, *, window_turns: int = 50) -> None:
    """The snapshot is what the journal up to its offset adds up to, and that much of the journal is there."""
    snapshot = read_snapshot(snapshot_of(path), KEY)
    assert snapshot is not None
    data = journal_of(path).read_bytes()
    assert snapshot.offset <= len(data)
    state = Conversation(key=KEY)
    with journal_of(path).open("rb") as file:
        for offset, line in lines(file.fileno(), 0, snapshot.offset):
            if offset:
                apply(state, decode_line(line).record, window_turns=window_turns)
    assert as_json(state) == as_json(snapshot.state)


def test_a_snapshot_is_at_most_so_many_records_behind(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path, snapshot_every_records=30) as store:
            token = (await store.open_session(KEY)).token
            for index in range(100):
                await store.append(KEY, token, turn(index), keep=False)
                if index % 10 == 9:
                    await until(lambda: store.counters.snapshots == (index + 1) // 10)  # noqa: B023
                    assert_agrees_with_its_journal(tmp_path)

    run(scene())


def test_a_snapshot_is_at_most_so_many_bytes_behind(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path, snapshot_every_bytes=10_000) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(0, text="x" * 11_000), keep=False)
            await until(lambda: store.counters.snapshots == 1)

    run(scene())


def test_opening_with_a_snapshot_and_without_it_is_the_same(tmp_path: Path) -> None:
    async def scene() -> None:
        before = await talk(tmp_path, 60)
        assert_agrees_with_its_journal(tmp_path)
        assert as_json(await reopen(tmp_path)) == as_json(before)
        snapshot_of(tmp_path).unlink()
        assert as_json(await reopen(tmp_path)) == as_json(before)

    run(scene())


def test_a_snapshot_torn_at_any_place_costs_nothing_but_reading_the_journal(tmp_path: Path) -> None:
    before = run(talk(tmp_path, 3))
    data = snapshot_of(tmp_path).read_bytes()
    for length in range(len(data)):
        snapshot_of(tmp_path).write_bytes(data[:length])
        loaded = load(journal_of(tmp_path), snapshot_of(tmp_path), KEY, window_turns=50)
        assert loaded is not None
        assert as_json(loaded.state) == as_json(before)


def test_a_snapshot_of_another_session_is_not_believed(tmp_path: Path) -> None:
    before = run(talk(tmp_path, 3))
    data = snapshot_of(tmp_path).read_bytes().replace(b"main", b"evil")
    snapshot_of(tmp_path).write_bytes(data)
    assert as_json(run(reopen(tmp_path))) == as_json(before)


@pytest.mark.parametrize("harm", ["shorter", "another", "missing"])
def test_a_journal_that_its_snapshot_does_not_fit_is_damaged(tmp_path: Path, harm: str) -> None:
    async def scene() -> None:
        await talk(tmp_path, 3)
        journal = journal_of(tmp_path)
        if harm == "shorter":
            *most, _ = journal.read_bytes().splitlines(keepends=True)
            journal.write_bytes(b"".join(most))
        elif harm == "another":
            journal.write_bytes(
                journal.read_bytes().replace(b'"crc":"', b'"crc":"0')[: journal.stat().st_size]
            )
        else:
            journal.unlink()
        with opened(tmp_path) as store:
            assert (await refused(store.open_session(KEY))).code == "corrupt"

    run(scene())


def test_a_longer_window_is_filled_from_the_journal(tmp_path: Path) -> None:
    async def scene() -> None:
        await talk(tmp_path, 30, window_turns=5)
        assert [len((await reopen(tmp_path, window_turns=wanted)).window) for wanted in (5, 20, 50, 3)] == [
            5,
            20,
            30,
            3,
        ]

    run(scene())


def test_nothing_that_waits_for_the_disk_gets_into_a_snapshot(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files, snapshot_every_records=1) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(0), keep=False)
            await until(lambda: store.counters.snapshots == 1)
            files.fail("flush", errno.EIO, path=journal_of(tmp_path).name)
            for index in (1, 2):
                assert not (await store.append(KEY, token, turn(index), keep=True)).durable
            await store.flush(deadline_s=0.1)
            snapshot = read_snapshot(snapshot_of(tmp_path), KEY)
            assert snapshot is not None
            assert snapshot.state.number == 3
            files.heal()
            await until(lambda: store.dirty_sessions == 0 and store.counters.snapshots == 2)
            assert_agrees_with_its_journal(tmp_path)

    run(scene())


def test_a_snapshot_that_cannot_be_written_harms_nothing_and_is_tried_again_later(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files, snapshot_every_records=3) as store:
            token = (await store.open_session(KEY)).token
            files.fail("rename", errno.ENOSPC, path=snapshot_of(tmp_path).name)
            await store.append(KEY, token, turn(0), keep=False)
            await until(lambda: store.counters.snapshots_failed == 1)
            assert await store.append(KEY, token, turn(1)[:1], keep=False) == (4, True)
            files.heal()
            await store.append(KEY, token, turn(1)[1:], keep=False)
            await until(lambda: store.counters.snapshots == 1)
            assert [path.suffix for path in (tmp_path / "memory" / "sessions").iterdir()] != [".tmp"]
            assert_agrees_with_its_journal(tmp_path)

    run(scene())


def test_the_journal_is_synced_before_the_snapshot_and_the_snapshot_before_its_name(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            token = (await store.open_session(KEY)).token
            files.steps.clear()
            await store.append(KEY, token, turn(0), keep=False)
            await store.close_session(KEY, token)

    run(scene())
    journal, snapshot = journal_of(tmp_path).name, snapshot_of(tmp_path).name
    steps = [
        (step, "temporary" if name.startswith(".") else name)
        for step, name in files.names("write", "flush", "rename", "flush directory")
        if "open-turns" not in name
    ]
    first = steps.index(("write", journal))
    assert steps[first : first + 7] == [
        ("write", journal),
        ("flush", journal),
        ("flush directory", "sessions"),
        ("write", "temporary"),
        ("flush", "temporary"),
        ("rename", snapshot),
        ("flush directory", "sessions"),
    ]


def test_a_snapshot_is_one_line_of_json(tmp_path: Path) -> None:
    run(talk(tmp_path, 1))
    assert is_snapshot(snapshot_of(tmp_path))
    assert msgspec.json.decode(snapshot_of(tmp_path).read_bytes())["session"] == KEY


def test_one_that_is_being_written_is_over_before_the_next_owner_may_come(tmp_path: Path) -> None:
    begun, goes_on = threading.Event(), threading.Event()
    order: list[str] = []

    class Slow(Files):
        def replace(self, path: Path, data: bytes, **more: Any) -> None:
            if path == snapshot_of(tmp_path):
                begun.set()
                goes_on.wait(DEADLINE_S)
            super().replace(path, data, **more)
            if path == snapshot_of(tmp_path):
                order.append("written")

    async def scene() -> None:
        with opened(tmp_path, Slow(sync=False)) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(0), keep=False)
            leaving = store.close_session(KEY, token)
            await until(begun.is_set)
            threading.Timer(0.1, goes_on.set).start()  # while the store is being closed
        order.append("closed")
        await leaving

    run(scene())
    assert order == ["written", "closed"]
