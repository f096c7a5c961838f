"""Wakes the router's watchdog when it wants to look again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from openclaw_actors.core.routing import RouterEffect
from openclaw_actors.core.watchdog import Watchdog

__all__ = ["WatchClock"]

_CHECKED_S = 0.05


class WatchClock:
    """The watchdog's timer.

    Args:
        call_later: the actor's timers.
        carry_out: takes what the watchdog wants done.
    """

    def __init__(
        self,
        watchdog: Watchdog,
        call_later: Callable[..., asyncio.TimerHandle],
        carry_out: Callable[[Iterable[RouterEffect]], None],
    ) -> None:
        self._watchdog = watchdog
        self._call_later = call_later
        self._carry_out = carry_out
        self._tick: asyncio.TimerHandle | None = None
        self._tick_at = 0.0
        self._is_checked = False

    def schedule(self) -> None:
        """Something has changed: the watchdog may want to look sooner.

        It looks at all sessions to say when; so it is asked 50 ms later for all that happened until then, and not at
        every message.
        """
        if self._tick is None:
            self._plan()
        elif not self._is_checked and self._tick_at > time.monotonic() + _CHECKED_S:
            self._is_checked = True
            self._call_later(_CHECKED_S, self._check)

    def _check(self) -> None:
        self._is_checked = False
        self._plan()

    def _plan(self) -> None:
        wanted = time.monotonic() + self._watchdog.next_tick_s()
        if self._tick is not None:
            if self._tick_at <= wanted:
                return
            self._tick.cancel()
        self._tick_at = wanted
        self._tick = self._call_later(max(0.0, wanted - time.monotonic()), self._look)

    def _look(self) -> None:
        self._tick = None
        self._carry_out(self._watchdog.tick(time.monotonic()))
