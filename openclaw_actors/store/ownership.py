"""Owns the store's directory: that it is ours, that nobody else uses it, and how often it was opened.

The lock stands on `store.lock`, whose content is the number of times that the store was opened. Fencing tokens begin
with it, so no two incarnations of a session ever have the same token, whether they wrote anything or not.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

from openclaw_actors.store.failures import StoreCannotOpen
from openclaw_actors.store.files import Files
from openclaw_actors.store.migrations import bring_up_to_date, format_to_open

__all__ = [
    "DIRECTORIES",
    "TOKENS_PER_OPENING",
    "StoreLock",
    "cannot_open",
    "check_format",
    "finish_restoring",
    "openings_of",
    "prepare",
    "restored_beside",
]

DIRECTORIES = ("sessions", "notes", "branches", "contacts", "legacy", "archive")
TOKENS_PER_OPENING = 1_000_000
_POLL_S = 0.02
OPENINGS_WIDTH = 12


def prepare(root: Path) -> None:
    """Makes the directories, readable by us alone; leaves a store alone that is too new. Raises `StoreCannotOpen`."""
    try:
        format_to_open(root)
        finish_restoring(root)
        if not root.exists():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _flush_directory(root.parent)
        found = root.stat()
        if found.st_uid != os.geteuid():
            raise StoreCannotOpen("configuration", f"{root} belongs to user {found.st_uid}, not to us")
        for name in DIRECTORIES:
            if not (root / name).is_dir():
                (root / name).mkdir(mode=0o700)
                _flush_directory(root)
    except OSError as error:
        raise cannot_open(root, error) from error


def restored_beside(root: Path) -> Path:
    """Where a restored store stands, whole, until it takes the place of the one before."""
    return root.with_name(f"{root.name}.restored")


def finish_restoring(root: Path) -> None:
    """Finishes what a crash interrupted between the two renames by which `restore` exchanges stores. Raises OSError."""
    root = Path(os.path.realpath(root))
    restored = restored_beside(root)
    if not os.path.lexists(root) and restored.is_dir():
        os.rename(restored, root)
        _flush_directory(root.parent)


def check_format(root: Path, files: Files) -> None:
    """Brings a store that is locked by us to the format of this program; refuses a newer one rather than harm it.

    Raises:
        StoreCannotOpen: `configuration` if the store is newer than this program.
    """
    try:
        bring_up_to_date(root, files)
    except OSError as error:
        raise cannot_open(root / "format", error) from error


def openings_of(root: Path) -> int:
    """How often a store was opened, as far as that can be read; 0 if there is none."""
    try:
        return int((root / "store.lock").read_bytes()[: OPENINGS_WIDTH + 1] or b"0")
    except (OSError, ValueError):
        return 0


class StoreLock:
    """The lock on a store; held until `release` or the process's end.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "store.lock"
        self._descriptor = -1

    def acquire(self, *, timeout_s: float) -> int:
        """Waits for the previous owner, and returns how often the store was opened, this time included.

        Raises:
            StoreCannotOpen: `locked` if the owner did not let go in time.
        """
        try:
            self._descriptor = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise StoreCannotOpen("configuration", f"{self._path} is not a file")
            self._wait(time.monotonic() + timeout_s)
            return self._count()
        except StoreCannotOpen:
            self.release()
            raise
        except OSError as error:
            self.release()
            raise cannot_open(self._path, error) from error

    def hold(self) -> bool:
        """Keeps owners away without being one; changes nothing. Returns False if the store never had one.

        Raises:
            StoreCannotOpen: `locked` if it has one now.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._wait(time.monotonic())
        except FileNotFoundError:
            return False
        except StoreCannotOpen:
            self.release()
            raise
        except OSError as error:
            self.release()
            raise cannot_open(self._path, error) from error
        return True

    def release(self) -> None:
        """Lets the next owner in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _wait(self, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreCannotOpen(
                        "locked", f"another gateway uses the store {self._path.parent}; stop it first"
                    ) from None
            time.sleep(_POLL_S)

    def _count(self) -> int:
        """Counts in place, which needs no room on the disk."""
        text = os.pread(self._descriptor, OPENINGS_WIDTH + 1, 0)
        try:
            count = int(text or b"0") + 1
        except ValueError:
            count = int(time.time()) // 60  # unreadable: far above any count, and it rises from here
        os.pwrite(self._descriptor, b"%0*d\n" % (OPENINGS_WIDTH, count), 0)
        os.fdatasync(self._descriptor)
        return count


def cannot_open(path: Path, error: OSError) -> StoreCannotOpen:
    """Says what an error of the operating system means for the store as a whole."""
    name = errno.errorcode.get(error.errno or 0, "error")
    reason = os.strerror(error.errno or 0)
    mine = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP)
    code = "configuration" if mine else "unavailable"
    return StoreCannotOpen(
        code, f"the store {path} cannot be used: {reason} ({name}); see memory.storage_path"
    )


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
