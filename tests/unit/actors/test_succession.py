"""When a `start` that has made room serves again, and when it may end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks
from openclaw_actors.actors.succession import (
    SIGNAL,
    Successor,
    forget_successor,
    is_needed_again,
    name_successor,
    read_successor,
    tell_failed,
)
from openclaw_actors.errors import StateDirError


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits until its standard input ends."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def successor(process: subprocess.Popen[bytes], *, within_s: float = 60.0) -> Successor:
    ticks = process_start_ticks(process.pid)
    assert ticks is not None
    return Successor(pid=process.pid, started_ticks=ticks, version="2", grace_s=1.0, within_s=within_s)


def write(run: Path, who: Successor) -> None:
    (run / "successor.json").write_bytes(msgspec.json.encode(who))


def needed(run: Path, who: Successor) -> bool:
    return asyncio.run(asyncio.wait_for(is_needed_again(run, who), 30.0))


def test_a_successor_that_took_its_file_away_is_ready(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    assert not needed(tmp_path, successor(other))


def test_a_successor_that_failed_is_not_waited_for(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    write(tmp_path, successor(other))
    tell_failed(tmp_path, successor(other))
    assert needed(tmp_path, successor(other))


def test_one_that_died_without_a_word_has_failed(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    who = successor(other)
    write(tmp_path, who)
    other.kill()
    assert needed(tmp_path, who)


def test_one_that_is_never_ready_is_killed(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    who = successor(other, within_s=0.0)
    write(tmp_path, who)
    assert needed(tmp_path, who)
    assert other.wait(30.0) < 0


def test_the_one_that_runs_is_signalled_once_it_can_read_who_comes(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    old = RunRecord(
        boot="b",
        pid=other.pid,
        started_ticks=process_start_ticks(other.pid) or 0,
        run_dir=str(tmp_path / "b"),
        state="ready",
    )
    us = name_successor(tmp_path, old, version="2", grace_s=1.0, within_s=9.0)
    assert us.pid == os.getpid()
    assert read_successor(tmp_path) == us
    assert other.wait(30.0) == -SIGNAL
    forget_successor(tmp_path)
    assert read_successor(tmp_path) is None


def test_two_cannot_take_over_at_once(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    write(tmp_path, successor(other))
    old = RunRecord(boot="b", pid=1, started_ticks=0, run_dir="", state="ready")
    with pytest.raises(StateDirError, match=f"pid {other.pid} is taking over already"):
        name_successor(tmp_path, old, version="3", grace_s=1.0, within_s=9.0)
    assert read_successor(tmp_path) == successor(other)


def test_a_later_process_with_the_same_pid_is_nobody(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    who = msgspec.structs.replace(successor(other), started_ticks=1)
    write(tmp_path, who)
    assert needed(tmp_path, who)
    assert other.poll() is None
