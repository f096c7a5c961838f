"""Decides when what was gathered in one tick of an actor's loop leaves: just before the loop waits for more.

asyncio offers `call_soon` for that, which costs another tick with a system call of its own.
"""

from __future__ import annotations

__all__ = ["TickLoop"]

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any


def _nothing() -> None:
    """Nobody wants to know of the end of a tick."""


class _Unopened(selectors.BaseSelector):
    """Stands for the selector of a loop that has none yet."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("the loop is not open")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise RuntimeError("the loop is not open")

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        raise RuntimeError("the loop is not open")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class TickLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, in which a tick has an end.

    Args:
        opened: False: it has no descriptors until `open`, so that it can be made in one process and used in its child.
    """

    time = staticmethod(
        time.monotonic
    )  # as asyncio's, which costs a frame each of the many times it is asked

    def __init__(self, *, opened: bool = True) -> None:
        self._opened = opened
        super().__init__(None if opened else _Unopened())
        self._at_end: list[Callable[[], None]] = []
        self.before_poll: Callable[[], None] = _nothing
        """Called at the end of each tick, after all that `call_at_tick_end` was given."""

    def open(self) -> None:
        """Make the descriptors, if there are none."""
        if not self._opened:
            self._opened = True
            self._selector = selectors.DefaultSelector()
            self._make_self_pipe()

    def _make_self_pipe(self) -> None:
        if self._opened:
            super()._make_self_pipe()  # type: ignore[misc]

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
