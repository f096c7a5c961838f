"""Measures how long a turn runs; it stands still while a person is asked something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["TurnClock"]


class TurnClock:
    """The deadline of the running turn.

    Args:
        call_later: the actor's timer.
        limit_s: how long a turn may run.
        passed: told of the turn whose time is over.
        began: told when another turn begins.
    """

    def __init__(
        self,
        call_later: Callable[..., asyncio.TimerHandle],
        limit_s: float,
        passed: Callable[[str], None],
        *,
        began: Callable[[], None],
    ) -> None:
        self.began_at = 0.0
        """Monotonic; 0: no turn ran yet."""
        self.correlation_id: str | None = None
        """Of the turn."""
        self._call_later = call_later
        self._limit_s = limit_s
        self._passed = passed
        self._began = began
        self._turn_id = ""
        self._left_s = 0.0
        self._runs_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """Since the turn began, the time in which people were asked included."""
        return time.monotonic() - self.began_at if self.began_at else 0.0

    def start(self, turn_id: str, correlation_id: str) -> None:
        """A turn began, or goes on as its next attempt."""
        if turn_id == self._turn_id:
            return
        self._turn_id = turn_id
        self.correlation_id = correlation_id
        self.began_at = time.monotonic()
        self._began()
        self._left_s = self._limit_s
        self._run()

    def use(self, limit_s: float) -> None:
        """From the next turn on, one may run so long."""
        self._limit_s = limit_s

    def hold(self) -> None:
        """A person is asked: the time does not count."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left_s = max(0.0, self._left_s - (time.monotonic() - self._runs_since))

    def go_on(self) -> None:
        """Nobody is asked any more."""
        if self._timer is None and self._turn_id:
            self._run()

    def _run(self) -> None:
        """One timer serves turn after turn: it looks, when it goes off, how much is left of the one that runs now."""
        self._runs_since = time.monotonic()
        if self._timer is None:
            self._timer = self._call_later(self._left_s, self._look)

    def _look(self) -> None:
        self._timer = None
        left_s = self._runs_since + self._left_s - time.monotonic()
        if left_s > 0:
            self._timer = self._call_later(left_s, self._look)
        else:
            self._passed(self._turn_id)
