"""Owns the list of sessions with accepted messages that have no answer yet: one shared, append-only file.

A session's name is on the disk before a record that accepts a message is acknowledged, and it is struck out
whenever there is time for it; so the list may name too many sessions, never too few.

    {"crc":"…","open":"websocket:local:main"}
    {"crc":"…","closed":"websocket:local:main"}
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import seal, unseal

__all__ = ["TurnList", "read_names"]


class _Line(msgspec.Struct, omit_defaults=True):
    open: str = ""
    closed: str = ""


_decoder = msgspec.json.Decoder(_Line)


def read_names(path: Path) -> tuple[dict[str, None], bool]:
    """The names in the file, oldest first, and whether all of it could be read.

    A list that is missing or damaged in its middle tells too little: then the sessions themselves must be asked.
    """
    names: dict[str, None] = {}
    try:
        *whole, _torn = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return names, False
    complete = True
    for data in whole:
        if not unseal(data):
            complete = False
            continue
        line = _decoder.decode(data)
        if line.open:
            names[line.open] = None
        names.pop(line.closed, None)
    return names, complete


class TurnList:
    """The file, for one writer. No method may be called by two threads at once.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self._path = path
        self._files = files
        self._descriptor = -1
        self._end = 0

    def rewrite(self, names: Iterable[str]) -> None:
        """Puts a list of just these names in the place of the old one. Raises OSError; the old one stands then."""
        data = b"".join(_line(open_=name) for name in names)
        self.close()
        self._files.replace(self._path, data)

    def write(self, opened: Iterable[str], closed: Iterable[str]) -> None:
        """Adds lines; returns when the opened names are on the disk. Raises OSError; none counts then."""
        opened = tuple(opened)
        data = b"".join([_line(open_=name) for name in opened] + [_line(closed=name) for name in closed])
        try:
            if self._descriptor < 0:
                self._open()
            self._files.write_at(self._descriptor, data, self._end)
            if opened:
                self._files.flush(self._descriptor)
        except OSError:
            self.close()
            raise
        self._end += len(data)

    def close(self) -> None:
        """Closes the file; the next write opens it again and cuts off what an earlier one left unfinished."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        existed = self._path.exists()
        self._descriptor = self._files.open(self._path, create=True)
        self._end = _valid_length(self._path.read_bytes())
        self._files.cut(self._descriptor, self._end)
        if not existed:
            self._files.flush_directory(self._path.parent)


def _line(*, open_: str = "", closed: str = "") -> bytes:
    return seal(msgspec.json.encode(_Line(open=open_, closed=closed))[1:])


def _valid_length(data: bytes) -> int:
    """Up to the end of the last whole line; behind it stands what a failed write left."""
    end = len(data)
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        if data[end - 1 : end] == b"\n" and unseal(data[start : end - 1]):
            return end
        end = start
    return 0
