"""What waits for a reader that takes one thing after the other, and when a reader is too far behind."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["MAX_BACKLOG_BYTES", "Backlog"]

MAX_BACKLOG_BYTES = 4_194_304
"""What may wait for a reader besides the piece that exceeds it; one that is further behind is cut off."""
_PIECE_BYTES = 256

_P = TypeVar("_P")


class Backlog(Generic[_P]):
    """The pieces that one reader has not taken yet.

    Args:
        wake: called when there is something to read, or nothing will come any more.
        max_bytes: what may wait besides the piece that exceeds it.
    """

    __slots__ = ("_bytes", "_max_bytes", "_pieces", "cut_off", "wake")

    def __init__(self, wake: Callable[[], None], *, max_bytes: int = MAX_BACKLOG_BYTES) -> None:
        self.cut_off = False
        """The reader was too far behind; nothing more comes."""
        self.wake = wake
        self._max_bytes = max_bytes
        self._pieces: deque[_P] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """How many pieces wait for the reader."""
        return len(self._pieces)

    def pop(self) -> _P:
        """The next piece.

        Raises:
            IndexError: none waits.
        """
        piece = self._pieces.popleft()
        self._bytes -= _size(piece)
        return piece

    def put(self, piece: _P) -> None:
        """One more piece for the reader."""
        if self.cut_off:
            return
        if self._bytes > self._max_bytes:
            self.cut_off = True
            self._pieces.clear()
        else:
            self._pieces.append(piece)
            self._bytes += _size(piece)
        self.wake()


def _size(piece: object) -> int:
    content = piece if isinstance(piece, bytes) else getattr(piece, "text", "")
    return sys.getsizeof(content) + _PIECE_BYTES
