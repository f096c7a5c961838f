"""Owns a remedy for a cost of CPython's: frames at the end of a stack chunk.

CPython (3.11 and later) keeps the frames of running functions in chunks of 16 KiB and gives a chunk back to the kernel
as soon as nothing stands in it. An actor is forked from deep within its parent's frames, so its loop stands at any
place of a chunk. Where that is the end, every callback maps a chunk, faults it in and unmaps it again: fourteen times
a turn in a session, a tenth of its processor time.
"""

from __future__ import annotations

__all__ = ["with_room"]

from collections.abc import Callable
from types import FunctionType
from typing import Any

_SLOTS = 7_300
"""A frame of this size begins a chunk of 16 384 slots (128 KiB), of which it leaves more than half; the memory is
touched only where frames really stand."""


def _call(fn: Callable[[], Any]) -> Any:
    return fn()


with_room: Callable[[Callable[[], Any]], Any] = FunctionType(
    _call.__code__.replace(co_stacksize=_SLOTS), globals()
)
"""Call a function with room for all frames that it and what it calls need."""
