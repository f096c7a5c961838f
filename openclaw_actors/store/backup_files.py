"""Decides which files of a store belong to a backup, and reads them piece by piece. Everything here blocks.

What the store leaves out of a backup: files that are being written, its own directory for backups, and the list of
files that a person put there. All else is kept, damaged files that were set aside included.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["STAGING", "TREES", "Item", "Piece", "Pieces", "Place", "scan"]

STAGING = ".backup"
"""The directory in the store's where the links of a running backup stand."""

_MAX_DEPTH = 4
_ROOT_FILES = (
    "contacts-in-doubt.json",
    "contacts.json",
    "format",
    "open-turns.jsonl",
    "outbox.jsonl",
    "store.lock",
    "usage.jsonl",
)
TREES = ("sessions", "legacy", "notes", "branches", "contacts", "archive")
"""In this order: what moves from one to another while they are listed is found at least once."""


class Item(NamedTuple):
    """One file of a backup."""

    path: bytes
    """Below the store's directory."""
    size: int
    """How much of it belongs to the backup."""


class Piece(NamedTuple):
    """A part of a file; the parts of one follow each other."""

    path: bytes
    size: int
    """Of the whole file, as the backup has it."""
    modified_at: float
    """Unix time, seconds."""
    offset: int
    data: bytes


class Place(NamedTuple):
    """How far a backup was read."""

    number: int = 0
    """Of the file."""
    offset: int = 0


class Pieces(NamedTuple):
    """Some of a backup, and where it goes on; None: that was all."""

    pieces: tuple[Piece, ...]
    after: Place | None


def scan(root: bytes) -> Iterator[tuple[bytes, int]]:
    """The files that belong to a backup, each with its inode's number. Raises OSError."""
    with os.scandir(root) as entries:
        for entry in entries:
            if _is_root_file(os.fsdecode(entry.name)) and entry.is_file(follow_symlinks=False):
                yield entry.name, entry.inode()
    for tree in TREES:
        yield from _below(root, os.fsencode(tree), 1)


def belongs(path: str) -> bool:
    """Could this be the path of a file in a backup? Then it leads nowhere but below the store's directory."""
    parts = path.split("/")
    if len(parts) == 1:
        return _is_root_file(path) and "\0" not in path
    return (
        parts[0] in TREES
        and len(parts) <= _MAX_DEPTH + 1
        and not any(part in ("", ".", "..") or "\0" in part for part in parts)
    )


def _is_root_file(name: str) -> bool:
    return name in _ROOT_FILES or (
        name.startswith(("usage.jsonl.", "outbox.jsonl.", "contacts.json.", "contacts-in-doubt.json."))
        and not name.endswith(".tmp")
    )


def _below(root: bytes, directory: bytes, depth: int) -> Iterator[tuple[bytes, int]]:
    try:
        with os.scandir(os.path.join(root, directory)) as entries:
            found = list(entries)
    except FileNotFoundError:
        return  # moved away meanwhile, or never made
    for entry in found:
        if entry.name.startswith(b".") and entry.name.endswith(b".tmp"):
            continue
        path = os.path.join(directory, entry.name)
        if entry.is_dir(follow_symlinks=False):
            if depth < _MAX_DEPTH:
                yield from _below(root, path, depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield path, entry.inode()


def read(root: bytes, items: Sequence[Item], place: Place, *, max_bytes: int) -> Pieces:
    """The next pieces of a backup, together of so many bytes or a little more. Raises OSError."""
    pieces: list[Piece] = []
    index, offset = place
    left = max_bytes
    while index < len(items) and left > 0:
        item = items[index]
        descriptor = os.open(
            os.path.join(root, item.path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{os.fsdecode(item.path)} is no file any more")
            # What stood behind the last whole append may have been cut off meanwhile.
            size = item.size if offset else min(item.size, status.st_size)
            data = os.pread(descriptor, min(left, size - offset), offset)
        finally:
            os.close(descriptor)
        pieces.append(Piece(item.path, size, status.st_mtime, offset, data))
        left -= max(len(data), 256)  # an empty file is not for nothing
        offset += len(data)
        if offset >= size:
            index, offset = index + 1, 0
        elif not data:
            raise OSError(f"{os.fsdecode(item.path)} became shorter while it was read")
    return Pieces(tuple(pieces), Place(index, offset) if index < len(items) else None)
