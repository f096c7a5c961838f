"""Looks at the disk: room, inodes, and whether its file system keeps what the store asks of it."""

from __future__ import annotations

__all__ = ["look"]

import os
from collections.abc import Iterator
from pathlib import Path

from openclaw_actors.cli.doctor import proc
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, ok, warning
from openclaw_actors.cli.tables import size

LEAST_BYTES = 64 * 1024 * 1024
FEW_BYTES = 1024 * 1024 * 1024
LEAST_INODES = 100
FEW_INODES = 10_000

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "lustre", "ocfs2", "gfs2"}
    | {"vboxsf", "prl_fs", "davfs", "virtiofs"}
)
_NO_MODES = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "drvfs", "hfs"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    paths = context.paths
    places = {"the store": paths.memory, "the state directory": paths.state, "the sockets": paths.run}
    devices: set[int] = set()
    for name, path in places.items():
        there = _nearest(path)
        try:
            device = there.stat().st_dev
            space = os.statvfs(there)
        except OSError as failed:
            yield error(
                f"{name}, {path}: {failed.strerror}",
                why="start fails",
                remedy=f"see what is wrong with {there}",
            )
            continue
        yield from _kind(name, path, context)
        if device not in devices:
            devices.add(device)
            yield from _room(name, there, space, context)


def _nearest(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _room(name: str, path: Path, space: os.statvfs_result, context: Context) -> Iterator[Finding]:
    free = space.f_bavail * space.f_frsize
    least = max(LEAST_BYTES, context.config.memory.max_record_bytes)
    what = f"{size(free)} are free for {name} ({path})"
    remedy = f"make room on the file system of {path}: df -h {path}"
    if free < least:
        yield error(what, why="new messages are refused when the disk is full", remedy=remedy)
    elif free < FEW_BYTES:
        yield warning(what, why="conversations and logs grow", remedy=remedy)
    else:
        yield ok(what)
    if not space.f_files:
        return  # this file system makes inodes as it needs them
    inodes = space.f_favail
    if inodes < FEW_INODES:
        make = error if inodes < LEAST_INODES else warning
        yield make(
            f"only {inodes} more files can be made on the file system of {path}",
            why="each conversation is two files, and each actor has a socket",
            remedy=f"remove small files, or use another file system: df -i {path}",
        )


def _kind(name: str, path: Path, context: Context) -> Iterator[Finding]:
    mount = proc.mount_of(path, context.proc)
    if mount is None:
        return
    at = f"{name} ({path}) lies on {mount.kind}, mounted at {mount.point}"
    elsewhere = (
        "set memory.storage_path to a local disk" if name == "the store" else "choose another --state-dir"
    )
    if mount.read_only:
        yield error(f"{at}, read-only", why="start fails", remedy=f"mount it for writing, or {elsewhere}")
    kind = mount.kind
    if kind in _NETWORK or (kind.startswith("fuse.") and name != "the sockets"):
        yield warning(
            f"{at}, a file system of the network or of a program",
            why="fsync, rename, locks and sockets there do not promise what the store and the actors rely on",
            remedy=elsewhere,
        )
    elif kind in _NO_MODES:
        yield error(
            f"{at}, which knows no owners or modes",
            why="conversations cannot be protected, and sockets cannot be made",
            remedy=elsewhere,
        )
    elif kind in _IN_MEMORY and name == "the store":
        yield warning(
            f"{at}, in memory", why="a restart of the machine loses every conversation", remedy=elsewhere
        )
    elif kind == "overlay" and name == "the store":
        yield warning(
            f"{at}, the layer of a container",
            why="every conversation is lost with the container",
            remedy=f"mount a volume at {path}",
        )
