"""Reads what the kernel says: mounts, locks, who listens, limits, control groups. Everything here blocks a little."""

from __future__ import annotations

__all__ = [
    "Group",
    "Listener",
    "Mount",
    "group_limits",
    "limit_of",
    "listeners",
    "lock_holders",
    "mount_of",
    "name_of",
    "number_in",
    "private_bytes",
    "threads_of",
]

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_LIMIT = 1 << 60
"""Version 1 of control groups writes a number as large as it can for "no limit"."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system."""

    point: str
    kind: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on a TCP port."""

    uid: int
    pids: tuple[int, ...]
    """Those that can be seen: other users' processes hide their descriptors."""


@dataclass(frozen=True, slots=True)
class Group:
    """A limit of a control group, and how much of it is used; of all groups above a process the tightest."""

    limit: int
    used: int

    @property
    def left(self) -> int:
        """What is free."""
        return self.limit - self.used


def mount_of(path: Path, proc: Path) -> Mount | None:
    """The file system that a path lies on, or would lie on if it were made."""
    real = os.path.realpath(path)
    best: Mount | None = None
    for line in _lines(proc / "self/mountinfo"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 6 or len(kind) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best.point)):  # a later mount hides an earlier one
            options = {*fields[5].split(","), *kind[2].split(",")}
            best = Mount(point, kind[0], "ro" in options)
    return best


def lock_holders(path: Path, proc: Path) -> list[int]:
    """The processes that hold a lock on a file, seen without touching it; 0 stands for one in another container."""
    try:
        status = path.stat()
    except OSError:
        return []
    marks = {f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"}
    found = []
    for line in _lines(proc / "locks"):
        fields = line.split()
        if len(fields) >= 6 and fields[1] != "->" and fields[5] in marks:
            found.append(max(0, int(fields[4])))
    return found


def listeners(port: int, proc: Path) -> list[Listener]:
    """Who listens on a port, on any address."""
    found: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        for line in _lines(proc / "net" / name)[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found[f"socket:[{fields[9]}]"] = int(fields[7])
    if not found:
        return []
    holders: dict[str, list[int]] = {}
    for pid in _pids(proc):
        for target in _targets(proc / str(pid) / "fd"):
            if target in found:
                holders.setdefault(target, []).append(pid)
    return [Listener(uid, tuple(dict.fromkeys(holders.get(inode, ())))) for inode, uid in found.items()]


def name_of(pid: int, proc: Path) -> str:
    """What a process is called: the beginning of its command line, never anything that looks like a value."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended meanwhile"
    shown = [
        os.path.basename(words[0]),
        *(word for word in words[1:4] if re.fullmatch(r"[\w./-]{1,60}", word)),
    ]
    return " ".join(shown).strip() or "a kernel thread"


def limit_of(pid: int, name: str, proc: Path) -> tuple[int | None, int | None]:
    """The soft and the hard limit of a process, by its name in /proc; None: there is none."""
    for line in _lines(proc / str(pid) / "limits"):
        if line.startswith(name):
            soft, hard = line[len(name) :].split()[:2]
            return _limit(soft), _limit(hard)
    return None, None


def _limit(text: str) -> int | None:
    return None if text == "unlimited" else int(text)


def threads_of(uid: int, proc: Path) -> int:
    """How many threads a user has: what the limit of processes counts."""
    count = 0
    for pid in _pids(proc):
        try:
            if (proc / str(pid)).stat().st_uid == uid:
                count += len(os.listdir(proc / str(pid) / "task"))
        except OSError:
            continue  # ended meanwhile
    return count


def group_limits(pid: int, controller: str, proc: Path, root: Path) -> Group | None:
    """The tightest limit of a control group above a process.

    Args:
        controller: `pids` or `memory`.
    """
    names = {
        "pids": ("pids.max", "pids.current", "pids.max", "pids.current"),
        "memory": ("memory.max", "memory.current", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    }[controller]
    best: Group | None = None
    for line in _lines(proc / str(pid) / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root if not controllers else root / controller
        limit_name, used_name = names[:2] if not controllers else names[2:]
        for directory in _upwards(base, path):
            limit, used = number_in(directory / limit_name), number_in(directory / used_name)
            if limit is None or used is None or limit >= _NO_LIMIT:
                continue
            if best is None or limit - used < best.left:
                best = Group(limit, used)
    return best


def _upwards(base: Path, path: str) -> Iterator[Path]:
    """The group and those above it; in a container its own one stands at the top."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts), -1, -1):
        yield base.joinpath(*parts[:length])


def number_in(path: Path) -> int | None:
    """The number that a file of the kernel holds; None: no such file, or no number."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def private_bytes(pid: int, proc: Path) -> int | None:
    """The memory that a process shares with nobody; None if that cannot be seen."""
    total = None
    for line in _lines(proc / str(pid) / "smaps_rollup"):
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total = (total or 0) + int(line.split()[1]) * 1024
    return total


def _pids(proc: Path) -> list[int]:
    try:
        return [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return []


def _targets(directory: Path) -> Iterator[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return  # another user's, or ended
    for name in names:
        try:
            yield os.readlink(directory / name)
        except OSError:
            continue


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
