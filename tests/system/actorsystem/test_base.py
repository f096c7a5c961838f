"""Thespian's own `ActorSystem` on our base: it starts, it ends, and it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from thespian.actors import Actor, ActorSystem

from openclaw_actors.actorsystem import UnixSystemBase
from openclaw_actors.errors import StateDirError
from openclaw_actors.proctree import descendants
from tests.system.proc import is_alive


class Echo(Actor):
    """Sends back what comes; "pid": its own."""

    def receiveMessage(self, msg: Any, sender: Any) -> None:
        self.send(sender, os.getpid() if msg == "pid" else msg)


@pytest.fixture
def run_dir() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="oca-")
    yield path
    shutil.rmtree(path)


def start(run_dir: str) -> tuple[Any, UnixSystemBase]:
    base = UnixSystemBase(run_dir=run_dir)
    return ActorSystem(systemBase=base, transientUnique=True), base


def gone(pids: set[int]) -> bool:
    """Wait until none of these processes is left; who reaps an orphan takes the time that it takes."""
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_system_answers_and_leaves_no_process_socket_or_descriptor(run_dir: str) -> None:
    descriptors, before = len(os.listdir("/proc/self/fd")), descendants()
    system, _ = start(run_dir)
    echo = system.createActor(Echo)
    assert system.ask(echo, "hello", timedelta(seconds=10)) == "hello"
    ours = descendants() - before
    system.shutdown()
    assert gone(ours)
    assert os.listdir(run_dir) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_system_whose_admin_was_killed_shuts_down_at_once_and_leaves_nothing(run_dir: str) -> None:
    descriptors, before = len(os.listdir("/proc/self/fd")), descendants()
    system, base = start(run_dir)
    pid = system.ask(system.createActor(Echo), "pid", timedelta(seconds=10))
    ours = descendants() - before
    assert base.admin is not None
    assert {pid, base.admin.pid} <= ours
    os.kill(base.admin.pid, signal.SIGKILL)
    began = time.monotonic()
    system.shutdown()
    assert time.monotonic() - began < 8.0  # Thespian's deadline is 10 s
    assert gone(ours)
    assert os.listdir(run_dir) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_two_systems_in_one_process_do_not_meet(run_dir: str) -> None:
    other_dir = os.path.join(run_dir, "other")
    (one, _), (other, _) = start(run_dir), start(other_dir)
    try:
        first, second = one.createActor(Echo), other.createActor(Echo)
        assert one.ask(first, "pid", 10) != other.ask(second, "pid", 10)
        other.shutdown()
        assert one.ask(first, "still here", timedelta(seconds=10)) == "still here"
    finally:
        one.shutdown()
    assert os.listdir(run_dir) == ["other"]


def test_a_directory_that_cannot_be_used_is_named(run_dir: str) -> None:
    with pytest.raises(StateDirError, match="too long"):
        UnixSystemBase(run_dir=os.path.join(run_dir, "x" * 100))
    file = os.path.join(run_dir, "file")
    with open(file, "w"):
        pass
    with pytest.raises(StateDirError, match="file"):
        UnixSystemBase(run_dir=file)


def test_the_directory_is_closed_to_others(run_dir: str) -> None:
    os.chmod(run_dir, 0o755)
    system, _ = start(run_dir)
    assert os.stat(run_dir).st_mode & 0o777 == 0o700
    system.shutdown()
