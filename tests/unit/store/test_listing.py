from __future__ import annotations

import os
from pathlib import Path

from openclaw_actors.messages.persistence import ListSessions
from tests.unit.store.scene import KEY, journal_of, opened, refused, run, turn


async def fill(path: Path, count: int) -> None:
    with opened(path, fsync=False) as store:
        for index in range(count):
            key = f"websocket:local:s{index}"
            token = (await store.open_session(key)).token
            for number in range(index % 3 + 1):
                await store.append(key, token, turn(number, at=1_000.0 + index), keep=False)
    for index in range(count):
        os.utime(journal_of(path, f"websocket:local:s{index}"), (1_000 + index, 1_000 + index))


def test_pages_of_what_was_used_last(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path, 7)
        with opened(tmp_path) as store:
            first = await store.list_sessions(ListSessions(offset=0, limit=3, contains=""))
            last = await store.list_sessions(ListSessions(offset=6, limit=3, contains=""))
        assert first.total == 7
        assert [(each.session[-2:], each.turns, each.last_active_at) for each in first.sessions] == [
            ("s6", 1, 1_006.0),
            ("s5", 3, 1_005.0),
            ("s4", 2, 1_004.0),
        ]
        assert [each.session[-2:] for each in last.sessions] == ["s0"]

    run(scene())


def test_only_keys_that_hold_the_text(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path, 12)
        with opened(tmp_path) as store:
            page = await store.list_sessions(ListSessions(offset=0, limit=100, contains="s1"))
        assert sorted(each.session[-3:] for each in page.sessions) == [":s1", "s10", "s11"]
        assert page.total == 3

    run(scene())


def test_only_keys_that_begin_so(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path, 3)
        with opened(tmp_path, fsync=False) as store:
            for key in ("websocket:bob:websocket:local:s1", "websocket:localhost:s1"):
                token = (await store.open_session(key)).token
                await store.append(key, token, turn(0), keep=False)
            page = await store.list_sessions(ListSessions(prefix="websocket:local:", contains="s1", limit=1))
            assert ([each.session for each in page.sessions], page.total) == (["websocket:local:s1"], 1)

    run(scene())


def test_a_key_that_is_hashed_is_listed_by_what_stands_in_its_file(tmp_path: Path) -> None:
    key = "sms:" + "9" * 300

    async def scene() -> None:
        with opened(tmp_path) as store:
            token = (await store.open_session(key)).token
            await store.append(key, token, turn(0), keep=False)
            page = await store.list_sessions(ListSessions(offset=0, limit=100, contains="sms:"))
            assert [each.session for each in page.sessions] == [key]

    run(scene())


def test_a_damaged_one_does_not_spoil_the_list_nor_is_it_touched(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path, 3)
        journal = journal_of(tmp_path, "websocket:local:s2")
        data = journal.read_bytes()[:100] + b"?" + journal.read_bytes()[101:]
        journal.write_bytes(data)
        (tmp_path / "memory" / "sessions" / "README.txt").write_text("not ours")
        with opened(tmp_path) as store:
            page = await store.list_sessions(ListSessions(offset=0, limit=100, contains=""))
        assert sorted(each.session[-2:] for each in page.sessions) == ["s0", "s1", "s2"]
        assert journal.read_bytes() == data

    run(scene())


def test_what_is_no_file_is_not_listed_and_not_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path, 1)
        sessions = journal_of(tmp_path).parent
        os.mkfifo(sessions / "pipe.jsonl")
        (sessions / "endless.jsonl").symlink_to("/dev/zero")
        (sessions / "directory.jsonl").mkdir()
        with opened(tmp_path) as store:
            page = await store.list_sessions(ListSessions(offset=0, limit=100, contains=""))
        assert [each.session for each in page.sessions] == ["websocket:local:s0"]

    run(scene())


def test_a_pipe_in_the_place_of_a_journal_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            os.mkfifo(journal_of(tmp_path))
            assert (await refused(store.open_session(KEY))).code in ("corrupt", "unavailable")

    run(scene())
