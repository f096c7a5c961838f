"""Has a turn done for an HTTP request, and reads what happens in it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from openclaw_actors.actors.http_deliveries import Deliveries
from openclaw_actors.channels.watch import Watch, Watches
from openclaw_actors.core.records import turn_id_of
from openclaw_actors.messages import (
    ErrorEvent,
    Event,
    MessageAccepted,
    Notice,
    TurnDone,
)

__all__ = ["ReaderTooSlow", "TurnGoesOn", "Turns"]


class ReaderTooSlow(Exception):
    """Raised when a reader was too far behind what its session said."""


class TurnGoesOn(Exception):
    """Raised when this process ends before a turn does: the next one can be asked for its answer."""


class Turns:
    """Delivers messages and follows their turns, through the deaths of sessions and routers."""

    def __init__(self, deliveries: Deliveries, watches: Watches) -> None:
        self._deliveries = deliveries
        self._watches = watches
        self._woken: set[asyncio.Event] = set()
        self._ends = False

    def shut_down(self) -> None:
        """This process ends: tell who still waits for a turn."""
        self._ends = True
        for woken in self._woken:
            woken.set()

    async def run(
        self, *, session: str, text: str, message_id: str | None, correlation_id: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Deliver a message and yield what happens in its turn, up to and including its `TurnDone`.

        The first event is its `MessageAccepted`. A higher attempt than before in `TurnStarted` or in a chunk voids
        what earlier ones said. A message that was known already yields its receipt and the end of its turn, at once
        or when it comes. Leaving the iterator early ends nothing: the turn goes on.

        Args:
            session: the session's key.
            message_id: the sender's idempotency key, or None.
            correlation_id: what the lines about it in the log are found by; None: one is made.

        Raises:
            NotTaken: the message was not taken.
            ReaderTooSlow: too much waits for whoever iterates.
            TurnGoesOn: the channel ends, and the turn does not.
        """
        message_id = message_id or f"m-h-{secrets.token_hex(12)}"
        turn_id = turn_id_of(message_id)
        with self._watch(session) as (watch, woken):
            receipt = await self._deliveries.take(
                session=session, text=text, message_id=message_id, correlation_id=correlation_id
            )
            known = receipt.duplicate
            if known is not None:
                yield known
                if receipt.turn_done is not None:
                    yield receipt.turn_done
                    return
            while True:
                while len(watch):
                    event = watch.pop()
                    if not _concerns(event, message_id, turn_id):
                        continue
                    if isinstance(event, MessageAccepted):
                        if known is not None:
                            continue
                        known = event
                    yield event
                    if isinstance(event, TurnDone):
                        return
                if watch.cut_off:
                    raise ReaderTooSlow
                if self._ends:
                    raise TurnGoesOn
                woken.clear()
                await woken.wait()

    @contextmanager
    def _watch(self, session: str) -> Iterator[tuple[Watch, asyncio.Event]]:
        woken = asyncio.Event()
        watch = Watch(f"w-{secrets.token_hex(8)}", session, woken.set)
        self._watches.begin(watch, None, time.monotonic())
        self._woken.add(woken)
        try:
            yield watch, woken
        finally:
            self._woken.remove(woken)
            self._watches.end(watch)


def _concerns(event: Event, message_id: str, turn_id: str) -> bool:
    """Whether an event belongs to a message's turn, or to the conversation as a whole."""
    match event:
        case Notice():
            return True
        case MessageAccepted():
            return event.message_id == message_id
        case ErrorEvent():
            return event.message_id in (None, message_id)
        case _:
            return event.turn_id == turn_id
