"""What opening costs: bytes and opened files, counted; no clock is looked at."""

from __future__ import annotations

import builtins
import io
import os
from collections import Counter
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import Conversation, apply, decode_state
from openclaw_actors.core.records import encode_record
from openclaw_actors.messages.persistence import ListSessions
from openclaw_actors.store.entry import Entry
from openclaw_actors.store.framing import crc_of
from openclaw_actors.store.journal import frame, header_line
from tests.unit.store.scene import KEY, journal_of, opened, run, snapshot_of, turn

TURNS = 50_000
DAY_S = 86_400.0


class Reads:
    """Counts the bytes and the files that are read below a directory."""

    def __init__(self, below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.opened: Counter[str] = Counter()
        read, open_, plain = os.pread, os.open, io.open

        def pread(descriptor: int, length: int, offset: int) -> bytes:
            data = read(descriptor, length, offset)
            self.bytes += len(data)
            return data

        def os_open(path, *args, **more):  # type: ignore[no-untyped-def]
            if str(path).startswith(str(below)) and not Path(path).is_dir():
                self.opened[Path(path).suffix] += 1
            return open_(path, *args, **more)

        def io_open(path, *args, **more):  # type: ignore[no-untyped-def]
            if str(path).startswith(str(below)):
                self.opened[Path(path).suffix] += 1
                self.bytes += Path(path).stat().st_size
            return plain(path, *args, **more)

        monkeypatch.setattr(os, "pread", pread)
        monkeypatch.setattr(os, "open", os_open)
        monkeypatch.setattr(io, "open", io_open)
        monkeypatch.setattr(builtins, "open", io_open)


def long_conversation(path: Path) -> int:
    """30 MB of 50 000 turns over three months, with the snapshot that a session leaves; returns its size in bytes."""
    journal = journal_of(path)
    journal.parent.mkdir(parents=True)
    state = Conversation(key=KEY)
    entry = Entry(KEY)
    with journal.open("wb") as file:
        entry.end = file.write(header_line(KEY))
        for index in range(TURNS):
            records = turn(index, at=1e9 + index * 90 * DAY_S / TURNS)
            lines = frame([encode_record(record) for record in records], [1] * 3)
            for record in records:
                apply(state, record, window_turns=50)
            end = entry.end + sum(map(len, lines))
            entry.last = (end - len(lines[-1]), crc_of(lines[-1]))
            entry.end = end
            file.writelines(lines)
    entry.state = state
    snapshot_of(path).write_bytes(entry.encode_snapshot(window_turns=50))
    return entry.end


def test_a_conversation_of_fifty_thousand_turns_is_opened_by_its_snapshot_and_a_tail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = long_conversation(tmp_path)
    assert size > 25_000_000

    async def scene() -> None:
        with opened(tmp_path) as store:
            reads = Reads(tmp_path, monkeypatch)
            session = await store.open_session(KEY)
            state = decode_state(session.state)
            assert (state.turns, len(state.window)) == (TURNS, 50)
            assert reads.bytes < 2_000_000
            reads.bytes = 0
            for index in range(TURNS, TURNS + 10):
                await store.append(KEY, session.token, turn(index, at=1.1e9), keep=False)
            assert reads.bytes < 1_000  # the list of open turns
            for after in (0, 70_000, 149_990):  # a page of any age
                page = await store.read_events(KEY, after_seq=after, max_events=50, max_bytes=1 << 20)
                assert [event.seq for event in page.events][:2] == [after + 1, after + 2]
            assert reads.bytes < 4_000_000
        reads.bytes = 0
        with opened(tmp_path) as store:
            assert decode_state((await store.open_session(KEY)).state).turns == TURNS + 10
        assert reads.bytes < 2_000_000

    run(scene())


def test_starting_reads_none_of_many_stored_conversations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> None:
        with opened(tmp_path, fsync=False) as store:
            for index in range(3):
                token = (await store.open_session(f"open-{index}")).token
                await store.append(f"open-{index}", token, turn(0)[:1], keep=False)

    run(fill())
    for index in range(2_000):
        key = f"websocket:local:{index}"
        records = b"".join(frame([encode_record(record) for record in turn(0)], [1] * 3))
        journal_of(tmp_path, key).write_bytes(header_line(key) + records)
    reads = Reads(tmp_path / "memory" / "sessions", monkeypatch)

    async def scene() -> None:
        with opened(tmp_path) as store:
            assert reads.opened == {}
            assert len(await store.open_turns()) == 3
            assert reads.opened[".jsonl"] == 3
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert (len(page.sessions), page.total) == (10, 2_003)
            assert reads.opened[".jsonl"] <= 13

    run(scene())
