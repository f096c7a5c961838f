"""Calls the model for HTTP requests, with no session between, and reads what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from openclaw_actors.actors.http_turns import ReaderTooSlow
from openclaw_actors.channels.calls import Call, Calls, Said
from openclaw_actors.messages import Complete

__all__ = ["ModelCalls"]


class ModelCalls:
    """Makes calls and reads their answers, through the deaths of the model's actor."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def run(self, request: Complete) -> AsyncGenerator[Said]:
        """Call the model and yield what it says, up to and including `Completed` or `CallFailed`.

        Leaving the iterator early cancels the call.

        Raises:
            ReaderTooSlow: too much waits for whoever iterates.
        """
        woken = asyncio.Event()
        call = Call(request, woken.set)
        self._calls.begin(call, time.monotonic())
        try:
            while True:
                while len(call):
                    yield call.pop()
                if call.cut_off:
                    raise ReaderTooSlow
                if call.ended:
                    return
                woken.clear()
                await woken.wait()
        finally:
            self._calls.end(call)
