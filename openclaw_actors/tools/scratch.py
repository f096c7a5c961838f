"""Owns the temporary directories of programs: private, removed with the program, and also those of a dead session."""

from __future__ import annotations

__all__ = ["Scratch"]

import asyncio
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

_ENTRIES_AT_ONCE = 200
"""Removed before the loop may do something else."""
_DEAD_AT_ONCE = 100
"""Directories of dead sessions that one session removes."""


class Scratch:
    """Temporary directories of one session's process.

    Args:
        root: where they are made; only this user can enter it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._looked_for_dead = False
        self._closed = False
        self._empty: Path | None = None
        """One that a program has left as it was: the next one gets it."""

    async def make(self) -> Path:
        """Make a directory that nobody else can enter.

        Raises:
            OSError: it cannot be made.
        """
        path, self._empty = self._empty, None
        if path is None or not _is_empty_still(path):
            path = _make(self._root)
        if not self._looked_for_dead:
            self._looked_for_dead = True
            for dead in _those_of_the_dead(self._root):
                await self.remove(dead)
        return path

    async def remove(self, path: Path) -> None:
        """Take a directory back with all that is in it; links are removed, not followed."""
        if self._empty is None and not self._closed and _is_empty_still(path):
            self._empty = path
            return
        for count, _ in enumerate(_removing(path)):
            if count % _ENTRIES_AT_ONCE == _ENTRIES_AT_ONCE - 1:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Keep no directory for later."""
        self._closed = True
        path, self._empty = self._empty, None
        if path is not None:
            await self.remove(path)


def _is_empty_still(path: Path) -> bool:
    try:
        os.chmod(path, 0o700)
        return not os.listdir(path)
    except OSError:
        return False


def _make(root: Path) -> Path:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(root, 0o700)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))


def _those_of_the_dead(root: Path) -> list[Path]:
    """Directories whose session has died; their names begin with its pid."""
    entries = [Path(entry.path) for entry in os.scandir(root)]
    dead = [path for path in entries if not Path("/proc", path.name.partition("-")[0]).exists()]
    return dead[:_DEAD_AT_ONCE]


def _removing(top: Path) -> Iterator[None]:
    """Remove a tree, and yield after each step."""
    try:
        top.rmdir()
        return
    except FileNotFoundError:
        return
    except OSError:
        yield
    for folder, directories, files in os.walk(top):
        for name in directories:
            _let_us_in(os.path.join(folder, name))
            yield
        for name in files:
            _remove(os.path.join(folder, name))
            yield
    for folder, directories, _ in os.walk(top, topdown=False):
        for name in directories:
            _remove(os.path.join(folder, name))
            yield
    _remove(str(top))
    if top.exists():
        logger.warning("the temporary directory %s cannot be removed", top)


def _let_us_in(path: str) -> None:
    """A program may have taken its own rights away; a link's target is not ours to change."""
    try:
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            os.chmod(path, 0o700)
    except OSError:
        return  # what cannot be removed is told at the end


def _remove(path: str) -> None:
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        return  # what cannot be removed is told at the end
