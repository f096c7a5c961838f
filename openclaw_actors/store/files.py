"""Owns what the store does to the file system, so that a test can make any step of it fail or record it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from pathlib import Path

__all__ = ["Files"]

_MODE = 0o600


class Files:
    """File operations; everything that changes the disk goes through here.

    Args:
        sync: whether to wait until the disk has it (`memory.fsync`).
    """

    def __init__(self, *, sync: bool = True) -> None:
        self.sync = sync
        self._numbers = itertools.count(1)

    def open(self, path: Path, *, create: bool = False) -> int:
        """Opens for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), _MODE)

    def write_at(self, descriptor: int, data: bytes, offset: int) -> None:
        """Writes all of the data, or raises."""
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset += written
            view = view[written:]

    def flush(self, descriptor: int) -> None:
        """Returns when what was written is on the disk, in a file that can be found again; raises if it cannot."""
        if self.sync:
            os.fdatasync(descriptor)
        if os.fstat(descriptor).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "somebody removed the file")

    def cut(self, descriptor: int, length: int) -> None:
        """Cuts the file to this length."""
        os.ftruncate(descriptor, length)

    def flush_directory(self, directory: Path) -> None:
        """Returns when the directory's entries are on the disk."""
        if not self.sync:
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives the file its name; another one of that name is replaced."""
        os.replace(source, target)

    def move(self, source: Path, target: Path) -> Path:
        """Renames to `target`, or to a name beside it if it is taken: nothing is overwritten. Returns the new path."""
        free, count = target, 0
        while free.exists():
            count += 1
            free = target.with_name(f"{target.name}-{count}")
        self.rename(source, free)
        self.flush_directory(source.parent)
        if free.parent != source.parent:
            self.flush_directory(free.parent)
        return free

    def link(self, source: Path, target: Path) -> None:
        """Gives a file a second name, which must be free; both are on the disk when this returns."""
        os.link(source, target)
        self.flush_directory(target.parent)

    def write_new(self, path: Path, data: bytes) -> None:
        """Makes a file with this content, which the disk need not have yet."""
        descriptor = self.open(path, create=True)
        try:
            self.write_at(descriptor, data, 0)
        finally:
            os.close(descriptor)

    def flush_all(self) -> None:
        """Returns when everything that was written anywhere is on the disk."""
        if self.sync:
            os.sync()

    def remove(self, path: Path) -> None:
        """Removes a file."""
        os.unlink(path)

    def make_directory(self, directory: Path) -> None:
        """Makes it, readable by us alone, unless it is there; returns when the disk knows."""
        if not directory.is_dir():
            os.mkdir(directory, 0o700)
            self.flush_directory(directory.parent)

    def remove_directory(self, directory: Path) -> None:
        """Removes it if it is there and empty. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(directory)

    def remove_leftovers(self, directory: Path) -> None:
        """Removes the temporary files that a crash left."""
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if _is_temporary(entry.name)]
        for name in names:
            (directory / name).unlink(missing_ok=True)

    def temporary(self, path: Path) -> Path:
        """A name beside `path` that nobody else uses."""
        return path.with_name(f".{path.name}.{os.getpid()}-{next(self._numbers)}.tmp")

    def replace(
        self, path: Path, data: bytes, *, flush_directory: bool = True, staging: Path | None = None
    ) -> None:
        """Puts a whole file in the place of `path`: the old content or the new one, whatever happens.

        Args:
            staging: the directory where it is written first, on the same file system; None: beside `path`.
        """
        temporary = self.temporary(path if staging is None else staging / path.name)
        descriptor = self.open(temporary, create=True)
        try:
            try:
                self.write_at(descriptor, data, 0)
                self.flush(descriptor)
            finally:
                os.close(descriptor)
            self.rename(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        if flush_directory:
            self.flush_directory(path.parent)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
