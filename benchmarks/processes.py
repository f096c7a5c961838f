"""Reads what processes cost from /proc: processor time and memory, of a whole tree by name."""

from __future__ import annotations

__all__ = ["Costs", "Tree", "available_bytes", "load_average", "machine"]

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_STAT_PARENT, _STAT_SYSTEM = 1, 12
"""Positions behind the name in /proc/PID/stat."""


@dataclass(frozen=True)
class Costs:
    """Processor seconds by the processes' names, and how many processes of that name there are.

    Args:
        kernel: the share of the seconds that the kernel took for them.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    kernel: dict[str, float] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())

    def since(self, earlier: Costs) -> Costs:
        """What was used after `earlier`; a process that has ended since is missing."""
        return Costs(
            {name: used - earlier.seconds.get(name, 0.0) for name, used in self.seconds.items()},
            self.count,
            {name: used - earlier.kernel.get(name, 0.0) for name, used in self.kernel.items()},
        )


class Tree:
    """A process and all below it.

    Args:
        root: pid of the topmost process.
        root_name: what to call it.
    """

    def __init__(self, root: int, root_name: str) -> None:
        self.root = root
        self._root_name = root_name

    def pids(self) -> list[int]:
        """The pids of all that live now."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                stat = _stat(int(entry.name))
                if stat is not None and stat[0] != "Z":
                    children.setdefault(int(stat[_STAT_PARENT]), []).append(int(entry.name))
        found = [self.root]
        for pid in found:
            found += children.get(pid, ())
        return found

    def costs(self) -> Costs:
        """Processor time since each process began."""
        seconds: Counter[str] = Counter()
        kernel: Counter[str] = Counter()
        count: Counter[str] = Counter()
        for pid in self.pids():
            stat = _stat(pid)
            if stat is not None:
                name = self._name(pid)
                count[name] += 1
                seconds[name] += _used_s(pid)  # type: ignore[assignment]
                kernel[name] += int(stat[_STAT_SYSTEM]) / _TICKS_A_SECOND  # type: ignore[assignment]
        return Costs(dict(seconds), dict(count), dict(kernel))

    def pss_bytes(self) -> int:
        """Memory of all processes together, shared pages counted once (proportional set size)."""
        return sum(_pss_bytes(pid) for pid in self.pids())

    def pss_bytes_by_name(self, name: str) -> list[int]:
        """Memory of each process of that name, proportional set size."""
        return [_pss_bytes(pid) for pid in self.pids() if self._name(pid) == name]

    def _name(self, pid: int) -> str:
        if pid == self.root:
            return self._root_name
        try:
            return Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return "gone"


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _used_s(pid: int) -> float:
    """Of all threads that live, to the nanosecond; what stat tells is counted in ticks."""
    used_ns = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            used_ns += int(task.read_text().split()[0])
        except OSError:
            continue
    return used_ns / 1e9


def _pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def available_bytes() -> int:
    """Memory that programs could get without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def load_average() -> float:
    """How many processes wanted a core in the last minute, on average."""
    return os.getloadavg()[0]


def machine() -> str:
    """One line: processor, cores, memory, kernel, Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system, version = os.uname(), os.sys.version.split()[0]  # type: ignore[attr-defined]
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory_gb:.0f} GB, {system.sysname} {system.release}, Python {version}"
