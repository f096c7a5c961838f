"""Searches the end of the shared log file, and of the one that was set aside before it, without reading more than that.

What stands there was redacted when it was written. Everything here blocks and runs in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from openclaw_actors.core.log_lines import LogLine, LogQuery, matcher, parse_line

__all__ = ["Tail", "search_log"]

_CHUNK = 65_536
_MAX_LINE_BYTES = 131_072


class Tail(NamedTuple):
    """What was found."""

    lines: tuple[LogLine, ...]
    """In order, the newest last."""
    searched_bytes: int
    more: bool
    """There may be older ones: the limit was reached, of lines or of bytes."""


def search_log(path: Path, query: LogQuery, *, limit: int, max_bytes: int) -> Tail:
    """The newest lines that are wanted.

    Args:
        path: the log; `NAME.1` beside it is the one before it.
        limit: of lines.
        max_bytes: how much is read of both together, from the end.
    """
    matches = matcher(query)
    # What a line must contain, whatever its form: most are not worth parsing.
    needle = query.correlation.encode()
    found: list[LogLine] = []
    left = max_bytes
    for each in (path, path.with_name(f"{path.name}.1")):
        try:
            descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            break  # it has not been rotated, or nothing was logged yet
        try:
            end = os.fstat(descriptor).st_size
            start = max(0, end - left)
            left -= end - start
            for data in _lines_backwards(descriptor, start, end):
                if needle not in data:
                    continue
                line = parse_line(data.decode(errors="replace"))
                if line is not None and matches(line):
                    if len(found) == limit:
                        return Tail(tuple(reversed(found)), max_bytes - left, more=True)
                    found.append(line)
        finally:
            os.close(descriptor)
        if left <= 0:
            return Tail(tuple(reversed(found)), max_bytes - left, more=True)
    return Tail(tuple(reversed(found)), max_bytes - left, more=False)


def _lines_backwards(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """The whole lines between two offsets, the last one first; of a monster only the beginning is lost."""
    rest = b""
    at = end
    while at > start:
        size = min(_CHUNK, at - start)
        at -= size
        head, *tail = (os.pread(descriptor, size, at) + rest[:_MAX_LINE_BYTES]).split(b"\n")
        yield from (line for line in reversed(tail) if line)
        rest = head
    if start == 0 and rest:
        yield rest
