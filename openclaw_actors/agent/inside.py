"""Reads the beginning of files that have to be inside one directory, and tells whether they have changed."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import TypeAlias

__all__ = ["Stamp", "is_settled", "read_inside", "stamp_of"]

Stamp: TypeAlias = tuple[int, ...]
"""Times of modification and change in nanoseconds, size, inode, device."""

_JUST_NOW_NS = 100_000_000


def stamp_of(path: Path | str) -> Stamp | None:
    """What changes with a file; None: there is none. Raises OSError."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev


def is_settled(stamp: Stamp) -> bool:
    """Whether the next change will show: one that follows at once may get the same time stamp."""
    return abs(time.time_ns() - stamp[0]) > _JUST_NOW_NS


def read_inside(path: Path | str, root: Path, max_bytes: int) -> tuple[bytes, int]:
    """The beginning of a file, and its size.

    Args:
        root: the directory in which it has to be, wherever links lead.
        max_bytes: how much is read at most.

    Raises:
        OSError: it cannot be read, is not in there, or is no regular file; `strerror` says which.
    """
    # Without O_NONBLOCK a pipe of that name would hold whoever opens it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EPERM, "it is no regular file")
        # Asked of what was opened: whatever happens to the path meanwhile, this is what is read.
        real = os.readlink(f"/proc/self/fd/{descriptor}")
        if not real.startswith(os.path.realpath(root).rstrip("/") + "/"):
            raise OSError(errno.EPERM, "it leads out of its directory")
        data = b""
        while len(data) < max_bytes:
            piece = os.read(descriptor, max_bytes - len(data))
            if not piece:
                break
            data += piece
        return data, max(found.st_size, len(data))
    finally:
        os.close(descriptor)
