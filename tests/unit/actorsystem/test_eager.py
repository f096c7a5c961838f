"""A coroutine that is started at once runs to its first wait in the caller, and is a task from the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from openclaw_actors.actorsystem import eager


def from_a_callback(fn: Callable[[], asyncio.Task[Any]]) -> Any:
    """Call `fn` in a callback of a loop, as an actor does, and return its task's result."""
    loop = asyncio.new_event_loop()
    try:
        started: asyncio.Future[asyncio.Task[Any]] = loop.create_future()
        loop.call_soon(lambda: started.set_result(fn()))

        async def wait() -> Any:
            return await asyncio.wait_for(await started, 10)

        return loop.run_until_complete(wait())
    finally:
        loop.close()


def start(coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return eager.start(asyncio.get_running_loop(), coro, "test")


def test_the_first_step_runs_before_start_returns() -> None:
    steps: list[str] = []

    async def work() -> str:
        steps.append("first")
        await asyncio.sleep(0)
        steps.append("second")
        return "done"

    def call() -> asyncio.Task[Any]:
        task = start(work())
        steps.append("started")
        return task

    assert from_a_callback(call) == "done"
    assert steps == ["first", "started", "second"]


def test_a_coroutine_without_a_wait_returns_its_result() -> None:
    async def work() -> int:
        return 7

    assert from_a_callback(lambda: start(work())) == 7


@pytest.mark.parametrize("waits", [False, True])
def test_an_exception_is_the_tasks(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        from_a_callback(lambda: start(work()))


def test_a_timeout_works_in_the_first_step() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "?"

    assert from_a_callback(lambda: start(work())) == "timed out"


def test_a_task_cancelled_before_its_second_step_runs_its_clean_up() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            cleaned.append(True)

    def call() -> asyncio.Task[Any]:
        task = start(work())
        task.cancel()
        return task

    with pytest.raises(asyncio.CancelledError):
        from_a_callback(call)
    assert cleaned == [True]
