"""What Linux knows of a process's children, and how those that nobody owns are ended.

An orphan falls to its nearest living ancestor that is a sub-reaper (prctl(2), PR_SET_CHILD_SUBREAPER). So the kernel
keeps the record of what each of our processes is answerable for: its children that it did not start itself.
"""

from __future__ import annotations

__all__ = ["children_of", "descendants", "end_strangers", "kill"]

import os
import signal
from collections.abc import Collection
from pathlib import Path

_PROC = Path("/proc")
_FEW = 64
"""So many that looking below them costs little; else what is below falls to us a moment later anyway."""


def children_of(pid: int) -> set[int]:
    """Return the pids of a process's children, those that have ended and are not reaped included."""
    found: set[int] = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found.update(map(int, file.read().split()))
    except FileNotFoundError:
        return found if _lists_children() else _scan_for_children(pid)
    except (ProcessLookupError, PermissionError):
        pass  # it ended meanwhile, or is not ours to look into
    return found


def _lists_children() -> bool:
    """Whether the kernel was built with CONFIG_PROC_CHILDREN; else the process that was looked for has ended."""
    own = os.getpid()
    return os.path.exists(f"/proc/{own}/task/{own}/children")


def _scan_for_children(pid: int) -> set[int]:
    found: set[int] = set()
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if int(stat[stat.rindex(b")") + 2 :].split()[1]) == pid:
                found.add(int(entry.name))
    return found


def descendants(pid: int | None = None, *, most: int | None = None) -> set[int]:
    """Return the pids of all processes below one (this one by default), zombies included.

    Args:
        pid: whose.
        most: do not look for more when so many are found.

    It is empty only if there is none: whatever moves while this looks hangs on something that was found.
    """
    found: set[int] = set()
    queue = [os.getpid() if pid is None else pid]
    while queue and (most is None or len(found) <= most):
        new = children_of(queue.pop()) - found
        found |= new
        queue.extend(new)
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process, or with a negative number to a group; one that is gone already is fine."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def end_strangers(spare: Collection[int]) -> set[int]:
    """Kill and reap this process's children but `spare`, with all that is below them; one round, without waiting.

    Args:
        spare: pids of the children that somebody here owns.

    Returns:
        The pids of those that are still there. Call it again until there is none: what is below a killed process falls
        to this one only when that has ended.
    """
    own = os.getpid()
    strangers = children_of(own) - set(spare)
    if not strangers:
        return strangers
    for pid in strangers:
        kill(pid)
    if len(strangers) <= _FEW:
        for pid in strangers:
            for each in descendants(pid, most=_FEW):
                kill(each)
    for pid in strangers:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue  # somebody else here reaped it
    return children_of(own) - set(spare)
