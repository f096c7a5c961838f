"""Knows how many conversations are stored, without looking each time."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import Executor

from openclaw_actors.store.options import Counters

__all__ = ["Census"]

logger = logging.getLogger(__name__)

_COUNT_AGAIN_S = 60.0


class Census:
    """Counts the files now and then, in a thread, and in between what is added.

    Args:
        count: counts them; it blocks.
        threads: where that is done.
        counters: of the store; its `began` says how many were added.
    """

    def __init__(self, count: Callable[[], int], threads: Executor, counters: Counters) -> None:
        self._count = count
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._counted = math.nan
        self._counters = counters
        self._began_before = 0
        self._counting: asyncio.Future[int] | None = None
        self._due_at = 0.0
        self.total()

    def total(self) -> float:
        """How many there are; NaN before they were counted for the first time."""
        if self._counting is None and self._loop.time() >= self._due_at:
            self._due_at = self._loop.time() + _COUNT_AGAIN_S
            self._begin()
        return self._counted + self._counters.began - self._began_before

    def recount(self) -> None:
        """Conversations were removed: they are counted when somebody wants to know."""
        self._due_at = 0.0

    def _begin(self) -> None:
        began_before = self._counters.began
        self._counting = self._loop.run_in_executor(self._threads, self._count)

        def done(counting: asyncio.Future[int]) -> None:
            self._counting = None
            if counting.cancelled():
                return
            error = counting.exception()
            if error is not None:
                logger.warning("stored conversations cannot be counted: %s", error)
                return
            # What was added meanwhile may be in the count already; the next one tells.
            self._counted, self._began_before = float(counting.result()), began_before

        self._counting.add_done_callback(done)
