"""Children and descendants are found as the kernel knows them, and strangers are ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openclaw_actors import proctree
from openclaw_actors.proctree import children_of, descendants

_SWEEPER = """
import os, signal, subprocess, time
from openclaw_actors.actorsystem import become_subreaper
from openclaw_actors.proctree import descendants, end_strangers

become_subreaper()
mine = subprocess.Popen(["sleep", "1000"])
tree = subprocess.Popen(["sh", "-c", "(setsid sh -c 'sleep 1000 & sleep 1000' &) ; trap '' TERM; sleep 1000"])
while len(descendants()) < 6:
    time.sleep(0.01)
rounds = 0
while end_strangers([mine.pid]):
    rounds += 1
    time.sleep(0.005)
print(descendants() == {mine.pid}, rounds < 400)
mine.kill()
"""


def test_strangers_end_with_all_that_is_below_them_and_who_is_spared_lives() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SWEEPER], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split() == ["True", "True"]


def test_a_process_that_has_ended_has_no_children() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert children_of(process.pid) == set()


def test_a_kernel_that_lists_no_children_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 & echo; wait"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        below = children_of(process.pid)
        assert len(below) == 1
        assert proctree._scan_for_children(process.pid) == below
        assert descendants(process.pid) == below
        process.kill()
        for pid in below:
            proctree.kill(pid)
