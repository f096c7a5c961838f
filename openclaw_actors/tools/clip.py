"""Keeps the beginning and the end of what a program prints, and says how much is missing between them."""

from __future__ import annotations

__all__ = ["Clip"]

_CONTINUES = bytes(range(0x80, 0xC0))
"""Bytes that go on with a character of UTF-8."""
_LONGEST_CHAR = 4


class Clip:
    """Takes any number of bytes and holds at most `limit` of them: the first half, and the last.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0
        """Bytes that were fed."""

    def feed(self, data: bytes) -> None:
        """Take what comes next."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if len(data) >= self._tail_limit:
            self._tail = bytearray(data[-self._tail_limit :])
        elif data:
            self._tail += data
            if len(self._tail) > 2 * self._tail_limit:
                del self._tail[: -self._tail_limit]

    @property
    def left_out(self) -> int:
        """How many bytes between beginning and end are not kept."""
        return max(0, self.total - self._head_limit - self._tail_limit)

    def raw(self) -> bytes:
        """What is kept, with nothing between beginning and end."""
        return bytes(self._head + self._tail[-self._tail_limit :])

    def text(self) -> str:
        """What is kept; where something is missing a line says how much."""
        if not self.left_out:
            return (self._head + self._tail).decode(errors="replace")
        head = _without_half_a_character(self._head).decode(errors="replace")
        tail = self._tail[-self._tail_limit :].lstrip(_CONTINUES)
        gap = f"[… {self.left_out} bytes left out …]"
        return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{gap}\n{tail.decode(errors='replace')}"


def _without_half_a_character(data: bytearray) -> bytearray:
    """The data without an unfinished character of UTF-8 at its end."""
    for back in range(1, min(_LONGEST_CHAR, len(data)) + 1):
        byte = data[-back]
        if byte in _CONTINUES:
            continue
        length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else _LONGEST_CHAR
        return data[:-back] if length > back else data
    return data
