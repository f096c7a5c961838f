"""Fills the holes that freed objects have left in the interpreter's memory, before children are forked.

CPython's allocator hands out the free blocks of half-used pools first (Objects/obmalloc.c). A child would scatter what
it makes over all that it shares with its parent, and copy a page for each block; where no hole is left it writes into
new pools only, one object beside the other.
"""

from __future__ import annotations

__all__ = ["fill_holes"]

import gc
from collections.abc import Callable

_ALIGNMENT = 16
_LARGEST = 512
_BYTES_OVERHEAD = 33
_IN_A_ROW = 24
"""So many blocks one behind the other are the beginning of a new pool, or as good as one."""
_MOST_BYTES = 262_144
"""For blocks of one size, where another allocator lays none beside the other."""

_fillers: list[object] = []


def fill_holes() -> int:
    """Take the free blocks of all sizes, until it is called again; returns how many bytes they have.

    It takes a few milliseconds, and no new memory but the rest of a pool for each size.
    """
    _fillers.clear()
    gc.collect()
    return sum(_fill(size, _maker(size)) for size in range(_ALIGNMENT, _LARGEST + 1, _ALIGNMENT))


def _maker(size: int) -> Callable[[], object]:
    """What makes objects that take blocks of this size."""
    if size == _ALIGNMENT:
        return object
    if size == 2 * _ALIGNMENT:
        return lambda: int("1000000")
    return lambda: bytes(size - _BYTES_OVERHEAD)


def _fill(size: int, make: Callable[[], object]) -> int:
    taken = row = last = 0
    while row < _IN_A_ROW and taken * size < _MOST_BYTES:
        filler = make()
        _fillers.append(filler)
        taken += 1
        row = row + 1 if id(filler) == last + size else 0
        last = id(filler)
    return taken * size
