"""Owns the list of sessions with accepted messages that have no answer yet: one shared, append-only file.

A session's name is on the disk before a record that accepts a message is acknowledged, and it is struck out
whenever there is time for it; so the list may name too many sessions, never too few.

    {"crc":"…","open":"websocket:local:main"}
    {"crc":"…","closed":"websocket:local:main"}

A list that cannot be trusted to name all begins with `{"crc":"…","complete":false}`, until the sessions themselves were
asked and a line with `"complete":true` says so.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import seal, unseal

__all__ = ["Change", "TurnList", "has_no_journal", "read_names"]

logger = logging.getLogger(__name__)

Change: TypeAlias = tuple[Literal["open", "closed", "incomplete", "complete"], str]
"""What a line says, and of which session."""


class _Line(msgspec.Struct, omit_defaults=True):
    open: str = ""
    closed: str = ""
    complete: bool | None = None


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
    complete, damaged = True, False
    for data in whole:
        try:
            line = _decoder.decode(data) if unseal(data) else None
        except (msgspec.DecodeError, ValueError):
            line = None
        if line is None:
            damaged = True
            continue
        if line.open:
            names[line.open] = None
        names.pop(line.closed, None)
        if line.complete is not None:
            complete = line.complete
    return names, complete and not damaged


def has_no_journal(sessions: Path) -> bool:
    """Is there no conversation of ours? Old ones have no open turns."""
    with os.scandir(sessions) as entries:
        return not any(entry.name.endswith(".jsonl") for entry in entries)


class TurnList:
    """The file, for one writer. No method may be called by two threads at once.

    Args:
        path: of the file.
        names, complete: what `read_names` said of it.
        compact_bytes: a longer file that mostly holds what is struck out is written anew.
    """

    def __init__(
        self,
        path: Path,
        files: Files,
        *,
        names: Iterable[str] = (),
        complete: bool = True,
        compact_bytes: int = 1_000_000,
    ) -> None:
        self._path = path
        self._files = files
        self._names = dict.fromkeys(names)
        self._complete = complete
        self._compact_bytes = compact_bytes
        self._descriptor = -1
        self._end = 0

    def rewrite(self, names: Iterable[str]) -> None:
        """Puts a list of just these names in the place of the old one. Raises OSError; the old one stands then."""
        self._names = dict.fromkeys(names)
        self.close()
        self._files.replace(self._path, self._content())

    def strike(self, names: Iterable[str]) -> None:
        """Writes the list anew without these names. Raises OSError; the old one stands then."""
        without = set(names)
        self.rewrite(name for name in tuple(self._names) if name not in without)

    def write(self, changes: Iterable[Change]) -> None:
        """Adds lines, in this order; returns when opened names are on the disk. Raises OSError; none counts then."""
        changes = tuple(changes)
        data = b"".join(_line(change) for change in changes)
        try:
            if self._descriptor < 0:
                self._open()
            self._files.write_at(self._descriptor, data, self._end)
            if any(kind != "closed" for kind, _ in changes):
                self._files.flush(self._descriptor)
        except OSError:
            self.close()
            raise
        self._end += len(data)
        for kind, name in changes:
            match kind:
                case "open":
                    self._names[name] = None
                case "closed":
                    self._names.pop(name, None)
                case "complete" | "incomplete":
                    self._complete = kind == "complete"
        if self._end > self._compact_bytes:
            self._compact()

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
        if not self._end and not self._complete:
            mark = _line(("incomplete", ""))
            self._files.write_at(self._descriptor, mark, 0)
            self._files.flush(self._descriptor)
            self._end = len(mark)

    def _content(self) -> bytes:
        lines = [] if self._complete else [_line(("incomplete", ""))]
        return b"".join([*lines, *(_line(("open", name)) for name in self._names)])

    def _compact(self) -> None:
        if self._end < 4 * len(self._content()):
            return
        try:
            self.rewrite(self._names)
        except OSError as error:
            logger.info("the list of open turns stays long: %s", error)


def _line(change: Change) -> bytes:
    kind, name = change
    match kind:
        case "open":
            line = _Line(open=name)
        case "closed":
            line = _Line(closed=name)
        case "incomplete" | "complete":
            line = _Line(complete=kind == "complete")
    return seal(msgspec.json.encode(line)[1:])


def _valid_length(data: bytes) -> int:
    """Up to the end of the last whole line; behind it stands what a failed write left."""
    end = len(data)
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        if data[end - 1 : end] == b"\n" and unseal(data[start : end - 1]):
            return end
        end = start
    return 0
