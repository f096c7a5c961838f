"""Measures what people who talk notice of a backup: the time of their turns before and while it is taken."""

from __future__ import annotations

__all__ = ["measure_backup"]

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.clients import Load
from benchmarks.gateway import ROOT, Gateway
from benchmarks.load import Round
from benchmarks.stores import make_sessions
from benchmarks.table import Row, median
from benchmarks.turns import percentile

_SESSIONS = 50
_MAX_RATIO = 2.0
_ROUND_S = 3.0


def measure_backup(directory: Path, *, runs: int, stored: int) -> list[Row]:
    """The 95th percentile of turns of 50 sessions while a large store is backed up, beside that without.

    Each person writes again as soon as they are answered. Backups follow each other through the whole round.

    Args:
        runs: how many rounds of each kind, in turn.
        stored: conversations in the store.
    """
    make_sessions(directory / "gateway" / "state" / "memory", count=stored)
    quiet: list[float] = []
    meanwhile: list[float] = []
    took: list[float] = []
    with (
        Gateway(directory / "gateway") as gateway,
        Load(gateway.url, sessions=_SESSIONS) as load,
    ):
        load.round({"turns": 5})
        for number in range(runs):
            quiet.append(_p95(load.round({"seconds": _ROUND_S})))
            backups = _Backups(gateway, directory / f"backup-{number}")
            meanwhile.append(_p95(load.round({"seconds": _ROUND_S})))
            took += backups.finish()
    ratios = [later / before for later, before in zip(meanwhile, quiet, strict=True)]
    return [
        Row(
            name=f"p95 of turns, {_SESSIONS} sessions, while {stored:,} sessions are backed up : before",
            value=median(ratios),
            unit=": 1",
            target=_MAX_RATIO,
            runs=ratios,
            beside=f"{median(meanwhile):.0f} ms beside {median(quiet):.0f} ms",
            digits=2,
        ),
        Row(
            name=f"a backup of {stored:,} sessions meanwhile",
            value=median(took),
            unit="s",
            runs=took,
            digits=2,
        ),
    ]


class _Backups:
    """Takes backups, one after the other, until it is told to finish."""

    def __init__(self, gateway: Gateway, target: Path) -> None:
        self._target = target
        command = [sys.executable, "-m", "benchmarks.backup", str(gateway.state), str(target)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def finish(self) -> list[float]:
        """How many seconds each took that was begun meanwhile."""
        out, _ = self._process.communicate("", timeout=300.0)
        if self._process.returncode != 0:
            raise RuntimeError("a backup failed")
        return [float(line) for line in out.split()]


def _repeat(state: str, target: str) -> int:
    """Back up again and again until standard input ends; prints how long each took."""
    import select

    number = 0
    while not number or not select.select([sys.stdin], [], [], 0)[0]:
        number += 1
        began = time.perf_counter()
        command = [sys.executable, "-m", "openclaw_actors", "backup", f"{target}-{number}.tar.gz"]
        done = subprocess.run(
            [*command, "--state-dir", state], cwd=ROOT, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            return 1
        sys.stdout.write(f"{time.perf_counter() - began}\n")
    return 0


def _p95(round_: Round) -> float:
    return percentile(round_.done_ms, 0.95)


if __name__ == "__main__":
    sys.exit(_repeat(*sys.argv[1:]))
