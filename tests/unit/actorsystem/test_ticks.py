"""A tick has an end; threads and signals wake the loop; a loop has descriptors only while it is open."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from openclaw_actors.actorsystem.ticks import TickLoop


def descriptors() -> set[str]:
    with os.scandir("/proc/self/fd") as entries:
        return {entry.name for entry in entries}


@pytest.fixture
def loop() -> Iterator[TickLoop]:
    loop = TickLoop()
    yield loop
    loop.close()


def test_what_is_gathered_in_a_tick_is_done_at_its_end(loop: TickLoop) -> None:
    done: list[str] = []

    async def work() -> None:
        loop.call_at_tick_end(lambda: done.append("end"))
        loop.call_soon(done.append, "next tick")
        done.append("now")
        await asyncio.sleep(0)

    loop.run_until_complete(work())
    assert done == ["now", "end", "next tick"]


def test_a_thread_wakes_a_loop_that_waits(loop: TickLoop) -> None:
    async def work() -> str:
        told = asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(told.set,))
        loop.call_soon(thread.start)
        async with asyncio.timeout(30.0):
            await told.wait()
        thread.join()
        return await asyncio.to_thread(lambda: "and an executor's")

    assert loop.run_until_complete(work()) == "and an executor's"


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only the main thread has handlers"
)
def test_a_signal_wakes_it_where_there_is_a_handler(loop: TickLoop) -> None:
    async def work() -> None:
        told = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR2, told.set)
        os.kill(os.getpid(), signal.SIGUSR2)
        async with asyncio.timeout(30.0):
            await told.wait()
        assert loop.remove_signal_handler(signal.SIGUSR2)

    loop.run_until_complete(work())


def test_one_that_is_not_open_has_no_descriptor_and_opens_once() -> None:
    gc.collect()  # what other tests have left is closed now, and not meanwhile
    before = descriptors()
    loop = TickLoop(opened=False)
    assert descriptors() == before
    loop.open()
    loop.open()
    assert len(descriptors()) == len(before) + 2
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    loop.close()
    assert descriptors() == before
