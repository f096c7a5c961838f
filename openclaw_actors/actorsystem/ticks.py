"""Decides when what was gathered in one tick of an actor's loop leaves: just before the loop waits for more.

asyncio offers `call_soon` for that, which costs another tick with a system call of its own.
"""

from __future__ import annotations

__all__ = ["TickLoop"]

import asyncio
import time
from collections.abc import Callable


def _nothing() -> None:
    """Nobody wants to know of the end of a tick."""


class TickLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, in which a tick has an end."""

    time = staticmethod(
        time.monotonic
    )  # as asyncio's, which costs a frame each of the many times it is asked

    def __init__(self) -> None:
        super().__init__()
        self._at_end: list[Callable[[], None]] = []
        self.before_poll: Callable[[], None] = _nothing
        """Called at the end of each tick, after all that `call_at_tick_end` was given."""

    def call_at_tick_end(self, fn: Callable[[], None]) -> None:
        """Call `fn` once, when all that is ready now has run. An exception in it ends the loop."""
        self._at_end.append(fn)

    def _run_once(self) -> None:
        if self._at_end:
            for fn in self._at_end:  # those that are added meanwhile, too
                fn()
            self._at_end.clear()
        self.before_poll()
        super()._run_once()  # type: ignore[misc]
