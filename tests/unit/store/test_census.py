"""How many conversations are stored."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openclaw_actors.store import census
from openclaw_actors.store.census import Census
from openclaw_actors.store.options import Counters


def run(scene: Any) -> None:
    async def play() -> None:
        with ThreadPoolExecutor(1) as threads:
            await scene(threads)

    asyncio.run(play())


async def counted(known: Census) -> float:
    known.total()
    await settled(known)
    return known.total()


async def settled(known: Census) -> None:
    async with asyncio.timeout(5):
        assert known._counting is not None
        await asyncio.wait([known._counting])
        await asyncio.sleep(0)  # for its callback


def test_it_is_not_known_until_it_was_counted_and_grows_at_once() -> None:
    async def scene(threads: ThreadPoolExecutor) -> None:
        counters = Counters()
        known = Census(lambda: 3, threads, counters)
        assert math.isnan(known.total())
        assert await counted(known) == 3
        counters.began += 1
        assert known.total() == 4

    run(scene)


def test_files_are_looked_at_now_and_then_only(monkeypatch: Any) -> None:
    async def scene(threads: ThreadPoolExecutor) -> None:
        counts = [10, 7]
        counters = Counters()
        known = Census(lambda: counts.pop(0), threads, counters)
        assert await counted(known) == 10
        counters.began += 1
        for _ in range(100):
            known.total()
        assert counts == [7]
        known.recount()
        assert await counted(known) == 7
        assert counts == []

    run(scene)
    assert census._COUNT_AGAIN_S >= 10


def test_a_directory_that_cannot_be_read_leaves_it_unknown() -> None:
    async def scene(threads: ThreadPoolExecutor) -> None:
        def fail() -> int:
            raise PermissionError("no")

        known = Census(fail, threads, Counters())
        known.total()
        await settled(known)
        assert math.isnan(known.total())

    run(scene)
