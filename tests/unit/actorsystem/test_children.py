"""Forked children: what they hold, how their ends are seen, and that a failed fork leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from openclaw_actors.actorsystem import children as module
from openclaw_actors.actorsystem.children import Child, Children, Main

_WAIT_S = 10.0


class Parent:
    """Children and the ends of them that were told."""

    def __init__(self) -> None:
        self.ended: list[tuple[int, int]] = []
        self._told = asyncio.Event()
        self.children = Children(asyncio.get_running_loop(), self._exited)

    def _exited(self, child: Child, status: int) -> None:
        self.ended.append((child.pid, os.waitstatus_to_exitcode(status)))
        self._told.set()

    async def until_ended(self, count: int) -> None:
        async with asyncio.timeout(_WAIT_S):
            while len(self.ended) < count:
                self._told.clear()
                await self._told.wait()


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def reap(pid: int) -> None:
    os.waitpid(pid, 0)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_end_of_each_child_is_told_once_with_its_status(run_dir: str) -> None:
    async def scene() -> None:
        parent = Parent()
        before = descriptors()
        first = parent.children.fork(run_dir, Main(lambda _path, _listener: 7))
        await parent.until_ended(1)
        second = parent.children.fork(run_dir, Main(lambda _path, _listener: signal.pause() or 0))
        assert len(parent.children) == 1
        parent.children.kill(second)
        await parent.until_ended(2)
        assert parent.ended == [(first.pid, 7), (second.pid, -signal.SIGKILL)]
        assert first.address != second.address
        assert len(parent.children) == 0
        assert descriptors() == before

    play(scene)


def test_a_child_has_its_listener_and_no_descriptor_of_its_siblings(run_dir: str) -> None:
    async def scene() -> None:
        parent = Parent()
        children = [
            parent.children.fork(run_dir, Main(lambda _path, _listener: descriptors())) for _ in range(10)
        ]
        await parent.until_ended(10)
        codes = dict(parent.ended)
        assert {codes[child.pid] for child in children} == {
            5
        }  # 0 to 2, the listener, and the directory it lists

    play(scene)


def test_a_fork_that_fails_leaves_no_descriptor_and_no_socket(
    run_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: Any, **_named: Any) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    async def scene() -> None:
        parent = Parent()
        before = descriptors()
        for what in ("fork_process", "open_pidfd"):
            with monkeypatch.context() as patch:
                patch.setattr(module, what, fails)
                with pytest.raises(OSError, match="too many"):
                    parent.children.fork(run_dir, Main(lambda _path, _listener: signal.pause() or 0))
            assert os.listdir(run_dir) == []
            assert descriptors() == before
            assert len(parent.children) == 0
        with pytest.raises(ChildProcessError):  # the child whose end nobody would have seen is reaped
            reap(-1)

    play(scene)


def test_a_child_that_another_part_of_the_process_reaped_has_ended_all_the_same(run_dir: str) -> None:
    async def scene() -> None:
        parent = Parent()
        child = parent.children.fork(run_dir, Main(lambda _path, _listener: 0))
        reap(child.pid)
        await parent.until_ended(1)
        assert len(parent.children) == 0

    play(scene)


_SWEEPING_PARENT = """
import asyncio, os, subprocess, sys
from openclaw_actors.actorsystem import become_subreaper
from openclaw_actors.actorsystem.children import Children, Main
from openclaw_actors.proctree import descendants

def leave_something(_path, _listener):
    subprocess.Popen(["sh", "-c", "setsid sleep 1000 & sleep 1000"])
    while len(descendants()) < 3:
        pass
    return 0

async def main(run_dir):
    told = asyncio.Event()
    left = []
    def exited(child, _status):
        left.append(descendants() - {each.pid for each in children})
        told.set()
    children = Children(asyncio.get_running_loop(), exited)
    children.sweeps = sys.argv[2] == "sweeps"
    sibling = children.fork(run_dir, Main(lambda _path, _listener: __import__("signal").pause()))
    children.fork(run_dir, Main(leave_something))
    await told.wait()
    print(len(left[0]), sibling.pid in descendants())
    for pid in descendants():
        os.kill(pid, 9)

become_subreaper()
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(("mode", "left"), [("sweeps", 0), ("does not", 3)])
def test_what_a_dead_child_leaves_is_ended_before_its_end_is_told(run_dir: str, mode: str, left: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SWEEPING_PARENT, run_dir, mode],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.split() == [str(left), "True"]
