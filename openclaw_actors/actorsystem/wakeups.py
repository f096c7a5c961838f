"""Owns the wake-ups of an actor: an ordered heap of deadlines, kept by one timer of the loop.

Thespian's own bases deliver wake-ups that expire together last-in first-out (`wakeupTransportBase.py:87`);
these come in the order of their deadlines, and in the order of their requests where deadlines are equal.
"""

from __future__ import annotations

__all__ = ["Wakeups"]

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any


class Wakeups:
    """The wake-ups of one actor.

    Args:
        loop: whose clock counts.
        due: called with (period as it was given, payload) for each wake-up, in order.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[Any, Any], None]) -> None:
        self._loop = loop
        self._due = due
        self._heap: list[tuple[float, int, Any, Any]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, period: timedelta | float, payload: Any) -> None:
        """Ask for a wake-up after `period`."""
        seconds = period.total_seconds() if isinstance(period, timedelta) else float(period)
        heapq.heappush(self._heap, (self._loop.time() + seconds, next(self._order), period, payload))
        if self._heap[0][2] is period:
            self._arm()

    def pending(self) -> list[tuple[float, Any]]:
        """Return (seconds from now, period) of all wake-ups, soonest first."""
        now = self._loop.time()
        return [(when - now, period) for when, _, period, _ in sorted(self._heap, key=lambda item: item[:2])]

    def close(self) -> None:
        """Forget all wake-ups."""
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = self._loop.call_at(self._heap[0][0], self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time() + 1e-4
        while self._heap and self._heap[0][0] <= now:
            _, _, period, payload = heapq.heappop(self._heap)
            self._due(period, payload)
        self._arm()
