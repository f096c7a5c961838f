"""What is replaced is closed by its last user, and not before."""

from __future__ import annotations

import asyncio

from openclaw_actors.actors.replaceable import Replaceable


class Thing:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_the_old_one_is_closed_when_nobody_uses_it() -> None:
    async def play() -> None:
        first, second, third = Thing(), Thing(), Thing()
        held = Replaceable(first, asyncio.ensure_future)
        with held.used() as one, held.used() as other:
            assert one is other is first
            held.replace(second)
            await asyncio.sleep(0)
            assert first.closed == 0
            with held.used() as now:
                assert now is second
        await asyncio.sleep(0)
        assert (first.closed, second.closed) == (1, 0)
        held.replace(third)
        await asyncio.sleep(0)
        assert second.closed == 1
        with held.used():
            held.replace(Thing())
            await held.close()
        assert (third.closed, held.current.closed) == (1, 1)

    asyncio.run(play())
