"""Decides how a coroutine is started at once: its first step runs in the caller, the rest as a task.

Python 3.12 has eager tasks; this does the same on 3.11. The first step already sees its task as `current_task()`, so
`asyncio.timeout` and task groups work in it.
"""

from __future__ import annotations

__all__ = ["start"]

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any


class _Started(Coroutine[Any, Any, Any]):
    """A coroutine whose first step was done: gives what that step yielded or returned, then goes on."""

    __slots__ = ("_coro", "_error", "_result", "_state", "_yielded")

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self._coro = coro
        self._state = "new"
        self._yielded: Any = None
        self._result: Any = None
        self._error: BaseException | None = None

    def first_step(self) -> None:
        try:
            self._yielded = self._coro.send(None)
            self._state = "waits"
        except StopIteration as end:
            self._state, self._result = "done", end.value
        except BaseException as error:
            self._state, self._error = "failed", error

    def send(self, value: Any) -> Any:
        state, self._state = self._state, "runs"
        if state == "waits":
            yielded, self._yielded = self._yielded, None
            return yielded
        if state == "done":
            raise StopIteration(self._result)
        if state == "failed":
            assert self._error is not None
            raise self._error
        return self._coro.send(value)

    def throw(self, *args: Any) -> Any:
        state, self._state = self._state, "runs"
        if state == "done":
            raise StopIteration(self._result)
        if state == "failed":
            assert self._error is not None
            raise self._error
        return self._coro.throw(*args)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("only a task runs this")


def start(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Run the first step of `coro` now and return the task that does the rest.

    Must not be called from within a task's step: a loop runs one task at a time.
    """
    started = _Started(coro)
    context = contextvars.copy_context()
    task = loop.create_task(started, name=name, context=context)
    asyncio.tasks._enter_task(loop, task)
    try:
        context.run(started.first_step)
    finally:
        asyncio.tasks._leave_task(loop, task)
    return task
