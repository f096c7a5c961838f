"""Decides how a tool waits for the disk: in a thread that learns that nobody waits for it any more."""

from __future__ import annotations

__all__ = ["StopFlag", "in_thread"]

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from openclaw_actors.tools.base import ToolFailed

_T = TypeVar("_T")
_LAST_STEP_S = 0.5
"""How long a call that was cancelled waits for its thread: a step that has begun is seen to its end."""


class StopFlag:
    """Set when the call that a thread works for has ended."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Nobody waits any more."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether to leave off."""
        return self._event.is_set()

    def check(self) -> None:
        """Leave off if nobody waits; to be called before every step that changes something, and in every loop.

        Raises:
            ToolFailed: nobody will read its text.
        """
        if self._event.is_set():
            raise ToolFailed("Error: stopped.")


async def in_thread(work: Callable[[StopFlag], _T]) -> _T:
    """Do blocking work beside the loop.

    A thread cannot be killed: `work` looks at its flag, which is set when the caller is cancelled.
    """
    flag = StopFlag()
    doing = asyncio.ensure_future(asyncio.to_thread(work, flag))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        flag.set()
        await asyncio.wait({doing}, timeout=_LAST_STEP_S)
        # Whatever else it says, somebody has to look at it.
        doing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise
