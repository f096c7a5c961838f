"""Layers between the gateway and the kernel: libraries that are loaded before all others and change what calls do."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["BadClock", "build", "joined"]

_CLOCK_BYTES = 4096
_MOST_SHIFTS = 200


def build(source: str, library: Path) -> str:
    """Compile one of our C files; returns why it cannot be done, empty if it was."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "there is no C compiler"
    path = Path(__file__).with_name(source)
    command = [compiler, "-shared", "-fPIC", "-O1", "-D_LARGEFILE64_SOURCE", "-o", str(library), str(path)]
    built = subprocess.run([*command, "-ldl"], capture_output=True, text=True, check=False)
    return "" if built.returncode == 0 else f"{source} cannot be compiled: {built.stderr[:200]}"


def joined(environments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """One environment for several layers."""
    libraries = [each["LD_PRELOAD"] for each in environments if "LD_PRELOAD" in each]
    merged = {name: value for each in environments for name, value in each.items()}
    return {**merged, "LD_PRELOAD": ":".join(libraries)} if libraries else merged


class BadClock:
    """The time of day of the gateway's processes, which can be set for all of them or for one (`clock.c`).

    Args:
        directory: for the layer's own files.
    """

    def __init__(self, directory: Path) -> None:
        self._library = directory / "clock.so"
        self._file = directory / "clock"
        self._file.write_bytes(bytes(_CLOCK_BYTES))
        self._shifts: list[tuple[int, float]] = []
        self.missing = build("clock.c", self._library)
        """Why there is no such layer; empty if there is."""

    @property
    def environment(self) -> dict[str, str]:
        """What the gateway must be started with."""
        if self.missing:
            return {}
        return {"LD_PRELOAD": str(self._library), "OPENCLAW_CHAOS_CLOCK": str(self._file)}

    @property
    def shift_s(self) -> float:
        """By how many seconds the clock of all is wrong."""
        return sum(seconds for pid, seconds in self._shifts if not pid)

    def shift(self, seconds: float) -> None:
        """The clock of all is so many seconds further from now on."""
        total = self.shift_s + seconds
        self._set([each for each in self._shifts if each[0]] + [(0, total)])

    @contextlib.contextmanager
    def shifted(self, seconds: float, pid: int = 0) -> Iterator[None]:
        """It is so many seconds further meanwhile, for this process or for all."""
        mine = (pid, seconds)
        self._set([*self._shifts, mine])
        try:
            yield
        finally:
            self._shifts.remove(mine)
            self._set(self._shifts)

    def _set(self, shifts: list[tuple[int, float]]) -> None:
        self._shifts = list(shifts[-_MOST_SHIFTS:])
        numbers = [number for pid, seconds in self._shifts for number in (pid, round(seconds * 1e9))]
        data = struct.pack(f"={len(numbers) + 1}q", len(self._shifts), *numbers)
        with self._file.open("r+b") as file:  # in place: the processes have mapped it
            file.write(data)
