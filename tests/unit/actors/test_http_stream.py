"""Silence is told between the events of a source, and whoever stops reading closes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from openclaw_actors.actors.http_stream import with_silences

__all__: list[str] = []


class Source:
    """Says what it is told to, and knows whether it was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.closed = False

    async def read(self) -> AsyncGenerator[str]:
        try:
            while True:
                item = await self.queue.get()
                if isinstance(item, Exception):
                    raise item
                if item == "end":
                    return
                yield item
        finally:
            self.closed = True


def test_nothing_is_lost_over_a_silence() -> None:
    async def scene() -> list[str | None]:
        source = Source()
        heard: list[str | None] = []
        async for item in with_silences(source.read(), 0.01):
            heard.append(item)
            if len(heard) == 2:
                source.queue.put_nowait("a")
                source.queue.put_nowait("b")
            elif item == "b":
                source.queue.put_nowait("end")
        assert source.closed
        return heard

    heard = asyncio.run(scene())
    assert heard[:4] == [None, None, "a", "b"]
    assert set(heard[4:]) <= {None}


def test_who_stops_reading_closes_the_source() -> None:
    async def scene() -> None:
        source = Source()
        async with aclosing(with_silences(source.read(), 0.01)) as items:
            async for _ in items:
                break
        assert source.closed

    asyncio.run(scene())


def test_what_the_source_raises_reaches_the_reader() -> None:
    async def scene() -> None:
        source = Source()
        source.queue.put_nowait(ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            async for _ in with_silences(source.read(), 1.0):
                pass
        assert source.closed

    asyncio.run(scene())
