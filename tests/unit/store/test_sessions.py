"""What stays in memory: a real LRU by count and by bytes, and never without what the disk lacks."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.store import FileStore
from tests.unit.store.scene import KEY, Faults, opened, refused, run, turn


async def visit(store: FileStore, key: str, *, text: str = "") -> None:
    """A conversation that is opened, used and closed."""
    opened_ = await store.open_session(key)
    index = decode_state(opened_.state).turns
    await store.append(key, opened_.token, turn(index, text=text), keep=False)
    await store.close_session(key, opened_.token)


async def loads(store: FileStore, key: str) -> int:
    """How often the files are read when the key is asked for now."""
    before = store.counters.loads
    await store.read_events(key, after_seq=0, max_events=1, max_bytes=1)
    return store.counters.loads - before


def test_what_was_used_least_recently_leaves_first(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path, cached_sessions=3) as store:
            for key in "abc":
                await visit(store, key)
            assert await loads(store, "a") == 0  # now b is the oldest
            await visit(store, "d")
            assert [await loads(store, key) for key in "acd"] == [0, 0, 0]
            assert await loads(store, "b") == 1

    run(scene())


def test_bytes_count_also_those_that_a_snapshot_holds(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path, cached_sessions=100, cached_bytes=100_000) as store:
            for key in "abcdef":
                await visit(store, key, text="x" * 30_000)
            assert [await loads(store, key) for key in "fe"] == [0, 0]
            assert await loads(store, "a") == 1
        with opened(tmp_path, cached_sessions=100, cached_bytes=100_000) as store:
            assert [await loads(store, key) for key in "abcdef"] == [1] * 6
            assert await loads(store, "f") == 0
            assert await loads(store, "a") == 1

    run(scene())


def test_live_sessions_have_a_limit_too_and_go_on_after_it(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path, cached_sessions=2) as store:
            tokens = {key: (await store.open_session(key)).token for key in map(str, range(100))}
            for key, token in tokens.items():
                assert (await store.append(key, token, turn(0), keep=False)).durable
            assert len(store._sessions) <= 8 + 64
            assert (await refused(store.append("0", tokens["0"] - 1, turn(1), keep=False))).code == "fenced"
            assert (await store.append("0", tokens["0"], turn(1), keep=False)).durable

    run(scene())


def test_what_the_disk_lacks_is_never_forgotten(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files, cached_sessions=1) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(0), keep=False)
            files.fail("write", errno.ENOSPC, path="sessions")
            assert not (await store.append(KEY, token, turn(1), keep=True)).durable
            for key in "abcdefgh":
                await store.read_events(key, after_seq=0, max_events=1, max_bytes=1)
            assert decode_state((await store.open_session(KEY)).state).turns == 2
            files.heal()
            assert await store.flush(deadline_s=10)

    run(scene())


def test_fifty_first_messages_at_once_are_one_conversation(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            opened_ = await asyncio.gather(*(store.open_session(KEY) for _ in range(50)))
            assert len({each.token for each in opened_}) == 50
            assert store.counters.loads == 1
            token = max(each.token for each in opened_)
            waiting = [store.append(KEY, token, turn(index), keep=False) for index in range(50)]
            assert [(await each).number for each in waiting] == list(range(3, 153, 3))

    run(scene())


def test_what_waits_for_one_conversation_has_a_limit(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            waiting = [store.open_session(KEY) for _ in range(1_001)]
            assert (await refused(waiting[-1])).code == "busy"
            await asyncio.gather(*waiting[:-1])

    run(scene())
