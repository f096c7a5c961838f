"""Finds the processes of a gateway by a mark in their environment, so that none is missed and none is another's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

__all__ = ["MARK", "descriptors", "hit", "named", "of_gateway", "orphans", "pss_bytes", "resident_bytes"]

MARK = "OPENCLAW_CHAOS_MARK"


def of_gateway(mark: str) -> dict[int, str]:
    """The live processes that carry the mark, with their names."""
    wanted = f"{MARK}={mark}".encode()
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            head, _, rest = (entry / "stat").read_text().rpartition(")")
            if rest.split()[0] not in "ZX":
                found[int(entry.name)] = head.partition("(")[2]
        except OSError:
            continue  # it has just ended
    return found


def named(processes: dict[int, str], name: str) -> list[int]:
    """The pids of those with a name."""
    return [pid for pid, its in processes.items() if its == name]


def orphans(processes: dict[int, str], root: int) -> dict[int, str]:
    """Those of the processes that do not stand below `root`, the pid of `start`."""
    return {pid: name for pid, name in processes.items() if not _is_below(pid, root)}


def _is_below(pid: int, root: int) -> bool:
    while pid not in (root, 0, 1):
        try:
            _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:
            return True  # it has just ended
        pid = int(rest.split()[1])
    return pid == root


def hit(pid: int, number: signal.Signals) -> bool:
    """Send a signal; returns whether there was anybody to get it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def descriptors(pid: int) -> int:
    """How many descriptors a process holds; 0 for one that is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def resident_bytes(pid: int) -> int:
    """Memory that a process has to itself, in bytes; 0 for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    private = [line.split()[1] for line in text.splitlines() if line.startswith("Private_")]
    return sum(map(int, private)) * 1024


def pss_bytes(pid: int) -> int:
    """Its share of memory, without files; what it has in common with others is divided among them. 0 for one that is
    gone. Pages of files are left out: their share rises when any program that has them in common ends."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))
