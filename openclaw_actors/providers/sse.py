"""Owns the reading of server-sent events: bytes in, the data of whole events out, with limits."""

from __future__ import annotations

__all__ = ["EventParser", "EventTooLarge"]

import re

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """Raised when a line or an event is larger than the parser takes; the parser is of no use after that."""


class EventParser:
    """An incremental parser of `text/event-stream`.

    Only the `data` of events is of interest here; names, ids and comments are read over. An event that is not closed
    by an empty line is never handed out, as the standard says: it may be half of one.

    Args:
        max_line_bytes: the longest line.
        max_event_bytes: the most data in one event.
    """

    def __init__(self, *, max_line_bytes: int = 1 << 20, max_event_bytes: int = 4 << 20) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._rest = bytearray()
        self._at_start = True
        self._after_cr = False
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived, however it was cut, and return the data of the events that it completes.

        Raises:
            EventTooLarge: a limit is passed.
        """
        if not data:
            return []
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        # A line end that is cut between its CR and its LF ends one line, not two.
        self._after_cr = data.endswith(b"\r") if data else False
        lines = _LINE_END.split(data)
        self._rest += lines[0]
        if len(self._rest) > self._max_line_bytes:
            raise EventTooLarge(f"a line of over {self._max_line_bytes} bytes")
        if len(lines) == 1:
            return []
        lines[0] = bytes(self._rest)
        self._rest = bytearray(lines.pop())
        events: list[bytes] = []
        for line in lines:
            self._take_line(line, events)
        return events

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data.clear()
                self._data_bytes = 0
            return
        if len(line) > self._max_line_bytes:
            raise EventTooLarge(f"a line of over {self._max_line_bytes} bytes")
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        value = value.removeprefix(b" ")
        self._data_bytes += len(value) + 1
        if self._data_bytes > self._max_event_bytes:
            raise EventTooLarge(f"an event of over {self._max_event_bytes} bytes")
        self._data.append(value)
