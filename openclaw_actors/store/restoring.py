"""Puts a backup in the place of a store, which is set aside and never removed. Everything here blocks.

    memory.restoring            what is being unpacked; of no use after a crash
    memory.restored             unpacked, whole, on the disk; the next start puts it where no store is
    memory.before-restore-TIME  the store that was there

A backup is older than the world. What has happened since is respected as far as the store that is set aside tells:
event numbers are not given twice, and who said STOP has said STOP. What waited to be sent, or for its answer, in the
backup may have been sent since: such replies are doubted, and leave only when the carrier's list or a person says so.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import IO, NamedTuple

from openclaw_actors.store.backup_tar import About, BackupInvalid, Totals, read_backup
from openclaw_actors.store.failures import StoreCannotOpen
from openclaw_actors.store.files import Files
from openclaw_actors.store.fitting import fit
from openclaw_actors.store.migrations import FORMAT
from openclaw_actors.store.ownership import DIRECTORIES, cannot_open, finish_restoring, restored_beside

__all__ = ["Restored", "check", "conversations_in", "exchange", "unpack"]

_SPARE_BYTES = 16_777_216
"""So much of the disk is left for others."""


class Restored(NamedTuple):
    """What became of a backup."""

    aside: Path | None
    """Where the store is that was there."""
    doubted: int
    """Conversations whose next replies by SMS may have been sent since."""


def check(file: IO[bytes], root: Path) -> tuple[About, Totals]:
    """Read a backup to its end and check that it can be restored here; changes nothing.

    Raises:
        BackupInvalid: it cannot.
        OSError: it cannot be read.
    """
    file.seek(0)
    about, totals = read_backup(file, max_bytes=_room_beside(root))
    if about.store_format > FORMAT:
        raise BackupInvalid(
            f"its store was written by a newer version ({about.version}; format {about.store_format}, "
            f"this one knows {FORMAT})"
        )
    return about, totals


def _room_beside(root: Path) -> int:
    parent = root.parent
    while not parent.is_dir():
        parent = parent.parent
    status = os.statvfs(parent)
    return max(0, status.f_bavail * status.f_frsize - _SPARE_BYTES)


def conversations_in(root: Path) -> int:
    """How many conversations stand in a store, archived ones included; 0 if there is none. Raises OSError."""
    count = 0
    for directory in ("sessions", "archive"):
        for _, _, names in os.walk(root / directory):
            count += sum(name.endswith(".jsonl") for name in names)
    return count


def unpack(file: IO[bytes], root: Path, files: Files) -> tuple[Path, int]:
    """Unpack a backup beside the store, and fit it to what has happened since; the store itself stays as it is.

    Returns:
        Where it is, and how many conversations have replies that are doubted.

    Raises:
        BackupInvalid, OSError: as `check`; nothing is left then.
    """
    try:
        finish_restoring(root)
    except OSError as error:
        raise cannot_open(root, error) from error
    staging = root.with_name(f"{root.name}.restoring")
    if staging.exists():
        shutil.rmtree(staging)
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging.mkdir(mode=0o700)
    try:
        for name in DIRECTORIES:
            (staging / name).mkdir(mode=0o700)
        file.seek(0)
        read_backup(file, _Unpacking(staging), max_bytes=_room_beside(root))
        doubted = fit(staging, root, files)
        files.flush_all()
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return staging, doubted


def exchange(unpacked: Path, root: Path, files: Files) -> Path | None:
    """Put what was unpacked in the place of the store; returns where that is now, if there was one.

    Raises:
        StoreCannotOpen: `configuration`: the store is a mount point.
        OSError: it cannot be done; the store is where it was, or is put there by the next start.
    """
    ready, aside = restored_beside(root), None
    if root.is_mount():
        raise StoreCannotOpen(
            "configuration", f"{root} is a mount point and cannot be renamed: mount its parent instead"
        )
    if ready.exists():
        shutil.rmtree(ready)  # an earlier restoration that ended before anything was exchanged
    files.rename(unpacked, ready)
    files.flush_directory(root.parent)
    if os.path.lexists(root):
        aside = _free_name(root)
        files.rename(root, aside)
        files.flush_directory(root.parent)
    files.rename(ready, root)
    files.flush_directory(root.parent)
    return aside


def _free_name(root: Path) -> Path:
    name = f"{root.name}.before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    count, free = 0, root.with_name(name)
    while os.path.lexists(free):
        count += 1
        free = root.with_name(f"{name}-{count}")
    return free


class _Unpacking:
    """Writes the files of a backup into an empty directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._modified_at = 0.0

    def begin(self, path: str, modified_at: float) -> None:
        target = self._directory / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(target, flags, 0o600)
        except FileExistsError:
            raise BackupInvalid(f"it holds {path!a} twice") from None
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
                raise BackupInvalid(f"it holds {path!a}, which cannot be made") from error
            raise
        self._modified_at = modified_at

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def end(self) -> None:
        os.utime(self._descriptor, (self._modified_at, self._modified_at))
        os.close(self._descriptor)
        self._descriptor = -1
