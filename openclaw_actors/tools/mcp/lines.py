"""Cuts what a program writes into lines, of which none can take more memory than it may."""

from __future__ import annotations

__all__ = ["Lines", "TooLong", "id_in"]

import re
from collections.abc import Iterator
from dataclasses import dataclass

_END_BYTES = 256
"""Kept of both ends of a line that is too long: the id of the request that it answers stands in one of them."""

_ID = rb'"id"\s*:\s*(?P<id>\d{1,15}|"[^"\\]{1,64}")'
_ID_FIRST = re.compile(rb'^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID)
_ID_LAST = re.compile(_ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line of which only the ends are kept."""

    head: bytes
    tail: bytes
    size: int
    """In bytes."""


class Lines:
    """Takes pieces, gives lines without their ends.

    Args:
        most: bytes of one line; of a longer one both ends are given.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = bytearray()
        self._head = b""
        self._dropped = 0

    def feed(self, data: bytes) -> Iterator[bytes | TooLong]:
        """Take a piece, and give the lines that it ends."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            yield self._line()
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        self._begun += piece
        if self._dropped or len(self._begun) > self._most:
            self._head = self._head or bytes(self._begun[:_END_BYTES])
            surplus = len(self._begun) - _END_BYTES
            if surplus > 0:
                self._dropped += surplus
                del self._begun[:surplus]

    def _line(self) -> bytes | TooLong:
        begun, dropped, head = bytes(self._begun), self._dropped, self._head
        self._begun.clear()
        self._dropped, self._head = 0, b""
        return TooLong(head, begun, dropped + len(begun)) if dropped else begun


def id_in(head: bytes, tail: bytes) -> int | str | None:
    """The id of the request that a response answers which cannot be read; None where there is none to be seen."""
    match = _ID_FIRST.search(head) or _ID_LAST.search(tail)
    if match is None:
        return None
    text = match["id"].decode(errors="replace")
    return int(text) if text.isdigit() else text.strip('"')
