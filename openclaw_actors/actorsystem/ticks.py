"""Decides when what was gathered in one tick of an actor's loop leaves: just before the loop waits for more.

asyncio offers `call_soon` for that, which costs another tick with a system call of its own.
"""

from __future__ import annotations

__all__ = ["TickLoop"]

import asyncio
import os
import select
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any


def _nothing() -> None:
    """Nobody wants to know of the end of a tick."""


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
        self._bell = -1
        self._ssock: socket.socket | None = None
        self._csock: socket.socket | None = None
        selector = selectors.EpollSelector()
        if not opened:
            selector._selector.close()  # type: ignore[attr-defined]
        super().__init__(selector)
        self._at_end: list[Callable[[], None]] = []
        self.before_poll: Callable[[], None] = _nothing
        """Called at the end of each tick, after all that `call_at_tick_end` was given."""

    def open(self) -> None:
        """Make the descriptors, if there are none."""
        if not self._opened:
            self._opened = True
            self._selector._selector = select.epoll()  # type: ignore[attr-defined]
            self._make_self_pipe()

    # asyncio's self-pipe is a pair of sockets, for the numbers of signals. For a call from a thread a counter will do.

    def _make_self_pipe(self) -> None:
        if self._opened:
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._add_reader(self._bell, self._bell_rang)  # type: ignore[attr-defined]

    def _close_self_pipe(self) -> None:
        if self._bell >= 0:
            self._remove_reader(self._bell)  # type: ignore[attr-defined]
            os.close(self._bell)
            self._bell = -1
        if self._ssock is not None:
            super()._close_self_pipe()  # type: ignore[misc]

    def _bell_rang(self) -> None:
        os.eventfd_read(self._bell)

    def _write_to_self(self) -> None:
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        if self._csock is None:
            super()._make_self_pipe()  # type: ignore[misc]
        super().add_signal_handler(sig, callback, *args)

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
