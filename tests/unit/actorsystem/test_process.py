"""How a process of ours begins and ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from openclaw_actors.actorsystem.process import (
    become_subreaper,
    end_descendants,
    forget_looked_up_names,
    fork_process,
    reap_orphans,
)
from openclaw_actors.proctree import descendants


def in_child(main: Callable[[], int], *, new_session: bool = False) -> int:
    """Fork a child of ours that runs `main`, and return its exit code."""
    return _wait(fork_process(main, keep=(), new_session=new_session, kept_alive=None))


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_ends_with_the_result_of_its_main_or_1_after_an_exception() -> None:
    assert in_child(lambda: 42) == 42
    assert in_child(lambda: 1 // 0) == 1


def test_a_child_blocks_no_signal_and_ignores_those_of_a_service_manager() -> None:
    def main() -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        return len(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    assert in_child(main) == 0


def test_names_that_were_looked_up_are_not_held_for_children_to_let_go() -> None:
    class Looked:
        """Has nothing."""

    names = [f"looked_up_{number}" for number in range(500)]
    alone = sum(map(sys.getrefcount, names))
    assert not any(hasattr(Looked, name) for name in names)
    assert sum(map(sys.getrefcount, names)) > alone + 100

    forget_looked_up_names()

    assert sum(map(sys.getrefcount, names)) == alone


def test_a_fork_leaves_the_signal_mask_of_the_parent_as_it_was() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        assert in_child(lambda: 0) == 0
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before | {signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_signal_to_a_child_does_not_reach_the_loop_of_its_parent() -> None:
    async def run() -> int:
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, heard.set)
        os.register_at_fork(
            after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM)
        )  # at the worst moment
        pid = fork_process(lambda: 3, keep=(), new_session=False, kept_alive=loop)
        code = _wait(pid)
        for _ in range(3):
            await asyncio.sleep(0)
        return 10 + code if heard.is_set() else code

    assert in_child(lambda: asyncio.run(run())) == 3  # in a child, because such a hook stays for ever


def test_a_child_is_not_kept_from_running_a_loop_of_its_own() -> None:
    async def child() -> int:
        return 5

    async def run() -> int:
        loop = asyncio.get_running_loop()
        return _wait(fork_process(lambda: asyncio.run(child()), keep=(), new_session=False, kept_alive=loop))

    assert asyncio.run(run()) == 5


def test_a_child_leads_a_session_if_it_shall() -> None:
    assert in_child(lambda: int(os.getsid(0) == os.getpid()), new_session=True) == 1
    assert in_child(lambda: int(os.getsid(0) == os.getpid())) == 0


def test_another_than_the_main_thread_may_not_fork() -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            in_child(lambda: 0)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_all_descendants_end_also_those_whose_parent_ended_before() -> None:
    ours, theirs = socket.socketpair()

    def middle() -> int:
        for _ in range(2):
            if os.fork() == 0:
                signal.pause()
        theirs.send(b"x")
        signal.pause()
        return 0

    def grandparent() -> int:
        middle_pid = fork_process(middle, keep=[theirs.fileno()], new_session=False, kept_alive=None)
        ours.recv(1)
        spared = fork_process(lambda: signal.pause() or 0, keep=(), new_session=False, kept_alive=None)
        assert len(descendants()) == 4
        left = end_descendants(spare=[spared])
        alone = descendants() == {spared}
        os.kill(spared, signal.SIGKILL)
        os.waitpid(spared, 0)
        return 0 if alone and not left and middle_pid else 2

    def main() -> int:
        become_subreaper()
        return grandparent()

    pid = fork_process(main, keep=[ours.fileno(), theirs.fileno()], new_session=False, kept_alive=None)
    assert _wait(pid) == 0
    ours.close()
    theirs.close()


def test_reaping_takes_the_dead_and_leaves_those_who_are_spared() -> None:
    def main() -> int:
        pids = [fork_process(lambda: 0, keep=(), new_session=False, kept_alive=None) for _ in range(3)]
        for pid in pids:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        reaped = reap_orphans(spare=pids[:1])
        return reaped if descendants() == {pids[0]} else 99

    assert in_child(main) == 2


def test_a_log_file_of_the_parent_is_not_written_to_by_its_number(tmp_path: Path) -> None:
    """The number is closed in the child, and the next socket there gets it."""
    logger = logging.getLogger("tests.inherited")
    handlers = [logging.FileHandler(tmp_path / f"{name}.log") for name in ("root", "named")]

    def main() -> int:
        ours, theirs = socket.socketpair()
        more = [os.dup(theirs.fileno()) for _ in range(32)]  # whatever number the files had is one of these
        logger.error("a line")
        ours.setblocking(False)
        try:
            return len(ours.recv(1_000)) + len(more)
        except BlockingIOError:
            return 0

    logging.getLogger().addHandler(handlers[0])
    logger.addHandler(handlers[1])
    try:
        assert in_child(main) == 0
        logger.error("the parent's line")
    finally:
        logging.getLogger().removeHandler(handlers[0])
        logger.removeHandler(handlers[1])
        for handler in handlers:
            handler.close()
    assert [(tmp_path / f"{name}.log").read_text() for name in ("root", "named")] == [
        "the parent's line\n"
    ] * 2


def test_a_process_does_not_outlive_a_parent_that_died_before_it_began() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)

    def main() -> int:
        fork_process(lambda: signal.pause() or 0, keep=[theirs.fileno()], new_session=True, kept_alive=None)
        return 0

    pid = fork_process(main, keep=[theirs.fileno()], new_session=False, kept_alive=None)
    theirs.close()
    os.waitpid(pid, 0)
    assert ours.recv(1) == b""  # the last holder of the other end is dead
    ours.close()
