"""Decides how messages lie in a byte stream: length-prefixed frames. Pure: no sockets.

A frame is a header of 13 bytes (little endian: `length` of the payload, 4; `kind`, 1; `ask id`, 8) and the payload.
The first frame of a connection is `HELLO` and carries the sender's address; the others carry one message each, as
`codec` writes it.
The ask id stands in the header, so an answer that comes too late is dropped unread.
"""

from __future__ import annotations

__all__ = [
    "ANSWER",
    "ASK",
    "HEADER_SIZE",
    "HELLO",
    "REFUSAL",
    "TELL",
    "BadFrame",
    "Frame",
    "FrameReader",
    "Kind",
    "encode",
]

import enum
import struct

import msgspec

_HEADER = struct.Struct("<IBQ")
HEADER_SIZE = _HEADER.size


class Kind(enum.IntEnum):
    """What a frame is."""

    HELLO = 1
    TELL = 2
    ASK = 3
    ANSWER = 4
    REFUSAL = 5


HELLO, TELL, ASK, ANSWER, REFUSAL = map(int, Kind)
"""The same as plain numbers: to look up a member of an enumeration takes a call."""

_KINDS = {int(kind): kind for kind in Kind}


class BadFrame(Exception):
    """Raised when a stream cannot be continued: an unknown kind, or a length over the limit."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it was received. `payload` is a view into the received bytes."""

    kind: int
    ask_id: int
    payload: memoryview


def encode(kind: int, ask_id: int, payload: bytes) -> bytes:
    """Return the bytes of a frame."""
    return _HEADER.pack(len(payload), kind, ask_id) + payload


class FrameReader:
    """Cuts a byte stream into frames.

    Args:
        limit: the largest payload in bytes.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer: bytearray | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take received bytes and return the frames that are complete with them.

        Raises:
            BadFrame: the stream is broken; the connection has to be closed.
        """
        whole: bytes | bytearray = data
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) < self._wanted(self._buffer):
                return []
            whole, self._buffer = self._buffer, None
        frames, end = self._cut(whole)
        if end < len(whole):
            self._buffer = bytearray(memoryview(whole)[end:])
        return frames

    def _wanted(self, buffer: bytearray) -> int:
        if len(buffer) < HEADER_SIZE:
            return HEADER_SIZE
        length, kind, _ = _HEADER.unpack_from(buffer, 0)
        # A header that is no good is for `_cut` to find.
        return HEADER_SIZE + (int(length) if length <= self._limit and kind in _KINDS else 0)

    def _cut(self, data: bytes | bytearray) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        view = memoryview(data)
        start, size = 0, len(data)
        limit, unpack = self._limit, _HEADER.unpack_from
        while start + HEADER_SIZE <= size:
            length, kind, ask_id = unpack(data, start)
            if length > limit or kind not in _KINDS:
                raise BadFrame(f"kind {kind}, length {length}, limit {limit}")
            end = start + HEADER_SIZE + length
            if end > size:
                break
            frames.append(Frame(kind, ask_id, view[start + HEADER_SIZE : end]))
            start = end
        return frames, start
