"""Owns the places of calls: how many run at once, how many wait for one, and how long."""

from __future__ import annotations

__all__ = ["Places"]

import asyncio

from openclaw_actors.providers import failures

_WAIT_WITHOUT_TIMEOUT_S = 600.0


class Places:
    """Places for calls of all models together; entered for the time of one call.

    Args:
        concurrent: calls under way at once.
        waiting: calls that wait for a place.
        wait_s: how long each waits; 0: ten minutes.
    """

    def __init__(self, *, concurrent: int, waiting: int, wait_s: float) -> None:
        # asyncio's semaphore is first come, first served, and counts without waiting while a place is free.
        self._free = asyncio.Semaphore(concurrent)
        self._most_waiting = waiting
        self._wait_s = wait_s or _WAIT_WITHOUT_TIMEOUT_S
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Calls that wait for a place now."""
        return self._waiting

    async def __aenter__(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= self._most_waiting:
            raise failures.overloaded(f"{self._waiting} calls wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise failures.overloaded(f"no place became free in {self._wait_s:.0f} s") from None
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
