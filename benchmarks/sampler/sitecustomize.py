"""Samples what every actor process of a gateway does; Python imports it at start where it stands on its path.

Each process looks at its innermost frame whenever it has used two milliseconds of processor time (SIGPROF,
setitimer(2)), and writes what it has seen, by module, to a file in the directory that BENCH_SAMPLES names, from the
moment on at which a file beside that directory, with the suffix `.begin`, is there.
The time of C code, and of the kernel, falls to the Python frame that called it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

_DIRECTORY = os.environ.get("BENCH_SAMPLES", "")
_EVERY_S = 0.002
_WRITE_AFTER = 10
_PROCESS = "openclaw_actors.actorsystem.process"


def _sample(name: str) -> None:
    seen: Counter[str] = Counter()
    path = Path(_DIRECTORY) / f"{name}.{os.getpid()}"
    begin = Path(_DIRECTORY).with_suffix(".begin")
    begun = False

    def look(_number: int, frame: FrameType | None) -> None:
        nonlocal begun
        begun = begun or begin.exists()
        if begun and frame is not None:
            seen[str(frame.f_globals.get("__name__", "?"))] += 1
        if begun and seen.total() % _WRITE_AFTER == 0:
            path.write_text("".join(f"{count} {module}\n" for module, count in seen.items()))

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)


def _forked() -> None:
    """An actor puts its signals in order first, and then says its name."""
    process: Any = sys.modules.get(_PROCESS)
    if process is None or getattr(process.name_process, "samples", False):
        return
    name_process = process.name_process

    def named(name: str) -> None:
        name_process(name)
        _sample(name)

    named.samples = True  # type: ignore[attr-defined]
    for module in list(sys.modules.values()):
        if getattr(module, "name_process", None) is name_process:
            module.name_process = named  # type: ignore[attr-defined]


if _DIRECTORY:
    os.register_at_fork(after_in_child=_forked)
