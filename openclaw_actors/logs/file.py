"""Owns a file to which many processes append whole lines, and its rotation."""

from __future__ import annotations

__all__ = ["SharedFile", "rotate_if_needed"]

import contextlib
import os
from pathlib import Path


class SharedFile:
    """Such a file as one of the processes sees it: appends whole lines, follows a rotation, survives a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost_lines = 0
        """Lines that could not be written: a full disk, a directory that is gone."""
        self._fd = -1
        self._torn = False
        self._opened_by = os.getpid()

    def write(self, data: bytes) -> None:
        """Append one line; never raises, never waits for another process."""
        try:
            self._follow()
            if self._torn:
                data = b"\n" + data  # the disk was full in the middle of the last line
            self._torn = os.write(self._fd, data) < len(data)
        except OSError:
            self.lost_lines += 1
            self.close()

    def close(self) -> None:
        """Close the descriptor; the next write opens the file again."""
        if self._fd >= 0 and self._opened_by == os.getpid():  # else the number may be another file's by now
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = -1

    def _follow(self) -> None:
        """Have the file open that stands under the name now: its owner may have rotated it since."""
        if self._fd >= 0 and self._opened_by == os.getpid():
            try:
                if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                    return
            except OSError:
                pass  # the name or the descriptor is gone: open it anew below
        self.close()
        self._opened_by = os.getpid()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self.path, flags, 0o600)


def rotate_if_needed(path: Path, *, max_bytes: int, backups: int) -> bool:
    """Set the file aside once it is too large. For the one process that owns rotation; the others follow.

    Args:
        path: the file.
        max_bytes: the size at which it is set aside.
        backups: how many old ones are kept, as `NAME.1` (newest) and so on; 0 = none.

    Returns:
        Whether it was rotated.
    """
    try:
        if path.stat().st_size < max_bytes:
            return False
        for number in range(backups, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        if backups == 0:
            path.unlink()
    except OSError:
        return False  # tried again at the next look; a log that grows is better than a supervisor that fails
    return True
