"""The benchmarks as a program: what they start ends with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.proctree import descendants
from tests.system.gateway import ROOT, wait_until
from tests.system.proc import is_alive


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name: sockets lie below it."""
    place = Path(tempfile.mkdtemp(prefix="oca-"))
    yield place
    shutil.rmtree(place, ignore_errors=True)


def test_bench_that_is_told_to_end_leaves_nothing(place: Path) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--only", "idle", "--quick"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(descendants(bench.pid)) >= 8, what="a whole gateway")
        started = descendants(bench.pid)
        bench.terminate()
        assert bench.wait(30.0) == 130
        wait_until(lambda: not any(map(is_alive, started)), what="the end of the gateway")
        assert not list(place.glob("openclaw-bench-*"))
    finally:
        bench.kill()
        bench.wait()
