"""Bare children: what `os.fork` does for a child and a bare one goes without, where it matters."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_actors import logs
from openclaw_actors.actorsystem.process import fork_process, has_threads, rehearse_birth


def in_bare_child(main: Callable[[], int]) -> int:
    pid = fork_process(main, keep=(), new_session=False, kept_alive=None, bare=True)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def alone(scene: Callable[[], int]) -> int:
    """What a scene returns in a process with one thread, as those that fork bare children are; 1 if it raises."""
    pid = fork_process(scene, keep=(), new_session=False, kept_alive=None)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_each_has_random_numbers_of_its_own(tmp_path: Path) -> None:
    def scene() -> int:
        for name in ("one", "another"):
            in_bare_child(lambda name=name: (tmp_path / name).write_text(str(random.random())) and 0)  # type: ignore[misc]
        (tmp_path / "parent").write_text(str(random.random()))
        return 0

    assert alone(scene) == 0
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 3


def test_it_can_run_a_loop_and_programs() -> None:
    async def programs() -> int:
        first = await asyncio.create_subprocess_exec("sh", "-c", "exit 7")
        return await first.wait()

    async def scene() -> int:  # its parent's loop runs
        return in_bare_child(lambda: asyncio.run(programs()))

    assert alone(lambda: asyncio.run(scene())) == 7


def test_it_can_use_threads() -> None:
    def main() -> int:
        told: list[int] = []
        thread = threading.Thread(target=lambda: told.append(5))
        thread.start()
        thread.join()
        return told[0]

    assert alone(lambda: in_bare_child(main)) == 5


def test_what_it_logs_goes_into_the_file_and_nowhere_else(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    other = tmp_path / "other"

    def main() -> int:
        # One of these has the number that the file had in the parent.
        opened = [os.open(other, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(8)]
        logging.getLogger("of the child").warning("said by the child")
        assert all(os.path.samestat(os.fstat(each), other.stat()) for each in opened), "one was closed"
        return other.stat().st_size

    def scene() -> int:
        logs.install(log, process="parent", stderr_level="off")
        logging.getLogger("of the parent").warning("said by the parent")
        return in_bare_child(main)

    assert alone(scene) == 0
    assert ["said by the parent" in line for line in log.read_text().splitlines()] == [True, False]


def test_none_is_forked_beside_threads() -> None:
    def scene() -> int:
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        try:
            in_bare_child(lambda: 0)
        except RuntimeError:
            return 3
        finally:
            stop.set()
            thread.join()
        return 0

    assert alone(scene) == 3


def test_threads_of_the_parents_parent_do_not_count() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert has_threads()
        assert alone(lambda: in_bare_child(lambda: 4)) == 4
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("times", [1, 3])
def test_a_rehearsed_birth_leaves_the_process_as_it_is(tmp_path: Path, times: int) -> None:
    async def scene() -> int:
        kept = (tmp_path / "kept").open("w")
        for _ in range(times):
            rehearse_birth()
        kept.write("still open")
        kept.close()
        return await asyncio.sleep(0, 6)

    assert alone(lambda: asyncio.run(scene())) == 6
    assert (tmp_path / "kept").read_text() == "still open"
