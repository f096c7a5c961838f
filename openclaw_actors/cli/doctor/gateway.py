"""Owns the questions that go to the running gateway: each is asked once, however many checks want the answer."""

from __future__ import annotations

__all__ = ["PROBE_S", "Gateway", "Once", "reason_of"]

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from openclaw_actors.actors.rundir import RunRecord
from openclaw_actors.cli.running import ask_supervisor
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout, OpenClawError
from openclaw_actors.messages import (
    GetStatus,
    Message,
    ProbeProvider,
    ProviderProbed,
    Status,
    StoreHealth,
    StoreHealthRequest,
)

ASK_S = 8.0
PROBE_S = 10.0

T = TypeVar("T")


class Once(Generic[T]):
    """Something that is found out once; whoever gives up waiting takes it from nobody else."""

    def __init__(self, find: Callable[[], Awaitable[T]]) -> None:
        self._find = find
        self._task: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """The value; raises what finding it raised."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._find())
            self._task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._task)


class Gateway:
    """The gateway that a record names."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._status = Once(lambda: self._ask(GetStatus(), Status, ASK_S))
        self._store = Once(lambda: self._ask(StoreHealthRequest(), StoreHealth, ASK_S))
        self._probe = Once(
            lambda: self._ask(ProbeProvider(timeout_s=PROBE_S), ProviderProbed, PROBE_S + ASK_S)
        )

    async def status(self) -> Status:
        """The tree of actors. Raises ActorError, as do the others."""
        return await self._status.get()

    async def store(self) -> StoreHealth:
        """How the store is, after a real write."""
        return await self._store.get()

    async def probe(self) -> ProviderProbed:
        """How the provider is, with the key that the gateway has."""
        return await self._probe.get()

    async def _ask(self, message: Message, answer: type[T], timeout_s: float) -> T:
        reply = await ask_supervisor(self._record, message, timeout_s=timeout_s)
        if not isinstance(reply, answer):
            raise OpenClawError(f"it answered with {type(reply).__name__}: is it another version?")
        return reply


def reason_of(failed: OpenClawError) -> str:
    """Why the running gateway gave no answer, in a few words."""
    match failed:
        case AskTimeout():
            return "no answer in time"
        case ActorGone():
            return "it is restarting or ending"
        case AskRefused():
            return failed.text or failed.code
    return str(failed) or type(failed).__name__
