"""What is checked before the gateway that runs is touched."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks, write_record
from openclaw_actors.actors.succession import SIGNAL
from openclaw_actors.cli.takeover import TakeOver, command_line, examine_old
from openclaw_actors.config import GatewayConfig, StatePaths, prepare_paths
from openclaw_actors.errors import OpenClawError, StoreError


@pytest.fixture(autouse=True)
def listens() -> Iterator[None]:
    """This process knows the signal, as a gateway of today does."""
    before = signal.signal(SIGNAL, lambda *_: None)
    yield
    signal.signal(SIGNAL, before)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    return prepare_paths(str(tmp_path / "state"), str(tmp_path / "state" / "memory"), {})


def runs(paths: StatePaths, *, state: str = "ready", managed: bool = False, pid: int | None = None) -> None:
    """Have this process, or another, stand for a gateway that runs."""
    pid = pid or os.getpid()
    ticks = process_start_ticks(pid)
    assert ticks is not None
    record = RunRecord(
        boot="b",
        pid=pid,
        started_ticks=ticks,
        run_dir="",
        state=state,
        ws="127.0.0.1:18789",
        http="127.0.0.1:18790",
        version="0.0.9",
        managed=managed,
    )
    write_record(paths.run, record)


def examine(paths: StatePaths, config: GatewayConfig | None = None) -> tuple[TakeOver | None, str]:
    said: list[str] = []
    old = examine_old(paths, config or GatewayConfig(), grace_s=2.0, say=said.append)
    return old, "\n".join(said)


def test_where_nothing_runs_it_is_a_plain_start(paths: StatePaths) -> None:
    old, said = examine(paths)
    assert old is None
    assert "nothing runs" in said


def test_what_runs_is_named_and_the_ports_that_it_has_are_no_obstacle(paths: StatePaths) -> None:
    runs(paths)
    old, said = examine(paths)
    assert old is not None
    assert (old.record.pid, old.grace_s) == (os.getpid(), 2.0)
    assert f"takes over from pid {os.getpid()} (0.0.9)" in said


def test_a_port_that_another_program_has_is_found_out_before(paths: StatePaths) -> None:
    runs(paths)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = msgspec.structs.replace(GatewayConfig(), port=taken.getsockname()[1])
        with pytest.raises(OpenClawError, match="the gateway that runs was left alone"):
            examine(paths, config)


@pytest.mark.parametrize("state", ["starting", "restarting", "stopping"])
def test_one_that_is_not_ready_is_left_alone(paths: StatePaths, state: str) -> None:
    runs(paths, state=state)
    with pytest.raises(OpenClawError, match=f"is {state}; take over when it is ready"):
        examine(paths)


def test_one_of_a_service_manager_is_restarted_by_it(paths: StatePaths) -> None:
    runs(paths, managed=True)
    with pytest.raises(OpenClawError, match="systemctl restart"):
        examine(paths)


def test_an_older_version_that_the_signal_would_kill_is_not_sent_it(paths: StatePaths) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as older:
        runs(paths, pid=older.pid)
        with pytest.raises(OpenClawError, match="does not know how to make room; it was left alone"):
            examine(paths)
        assert older.poll() is None


def test_a_newer_store_is_refused(paths: StatePaths) -> None:
    runs(paths)
    paths.memory.mkdir(exist_ok=True)
    (paths.memory / "format").write_text("99\n")
    with pytest.raises(StoreError, match="newer version"):
        examine(paths)
    assert (paths.memory / "format").read_text() == "99\n"


def test_the_command_that_starts_it_again_does_not_take_over() -> None:
    parts = ["python", "-m", "p", "start", "--take-over", "--grace", "2", "--state-dir", "a b", "--grace=3"]
    assert command_line(parts) == "python -m p start --state-dir 'a b'"
