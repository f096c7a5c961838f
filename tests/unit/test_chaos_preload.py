"""The clock of a process can be set while it runs: forward, back, for all or for one; its monotonic clock goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.preload import BadClock, joined

DAY_S = 86_400.0
TOLD_WITHIN_S = 60.0
"""A test takes less than that, however busy the machine is."""
SAYS = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture
def clock(tmp_path: Path) -> BadClock:
    clock = BadClock(tmp_path)
    assert not clock.missing
    return clock


class Process:
    """Tells the time when it is asked."""

    def __init__(self, clock: BadClock) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", SAYS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **joined([clock.environment])},
        )
        self.pid = self.process.pid

    def off_s(self) -> float:
        """By how much its clock is wrong."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wall, monotonic = map(float, self.process.stdout.readline().split())
        assert abs(monotonic - time.monotonic()) < TOLD_WITHIN_S
        return wall - time.time()


@pytest.fixture
def processes(clock: BadClock) -> Iterator[list[Process]]:
    both = [Process(clock), Process(clock)]
    yield both
    for each in both:
        with each.process:
            each.process.kill()


def test_the_clock_of_all_is_set_and_set_back(clock: BadClock, processes: list[Process]) -> None:
    assert [each.off_s() for each in processes] == pytest.approx([0, 0], abs=TOLD_WITHIN_S)
    clock.shift(400 * DAY_S)
    clock.shift(-500 * DAY_S)
    assert [each.off_s() for each in processes] == pytest.approx([-100 * DAY_S] * 2, abs=TOLD_WITHIN_S)
    with clock.shifted(DAY_S):
        assert processes[0].off_s() == pytest.approx(-99 * DAY_S, abs=TOLD_WITHIN_S)
    assert processes[0].off_s() == pytest.approx(-100 * DAY_S, abs=TOLD_WITHIN_S)


def test_the_clock_of_one_is_set_alone(clock: BadClock, processes: list[Process]) -> None:
    with clock.shifted(DAY_S, processes[0].pid):
        assert [each.off_s() for each in processes] == pytest.approx([DAY_S, 0], abs=TOLD_WITHIN_S)
    assert processes[0].off_s() == pytest.approx(0, abs=TOLD_WITHIN_S)


def test_layers_are_loaded_together() -> None:
    one, other = {"LD_PRELOAD": "/a.so", "A": "1"}, {"LD_PRELOAD": "/b.so"}
    assert joined([one, {}, other]) == {"LD_PRELOAD": "/a.so:/b.so", "A": "1"}
    assert joined([{}]) == {}
