"""Hands people's messages to their sessions for HTTP requests, and waits for the receipts."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, MutableMapping

from openclaw_actors.channels.hold import Held, Hold
from openclaw_actors.core.metrics import rejected
from openclaw_actors.core.refusals import REFUSAL_TEXTS
from openclaw_actors.core.series import Tally, series
from openclaw_actors.messages import Accepted, Deliver, Message, Refused

__all__ = ["Deliveries", "NotTaken"]


class NotTaken(Exception):
    """Raised when a message was not taken: nothing of it will happen.

    Args:
        code: as in `Refused`, or `not_accepted` when nobody took it in time.
        text: one line for its sender.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class Deliveries:
    """Holds each message until its receipt comes, and gives it to the router's next incarnation if need be.

    A caller that goes away takes nothing back: what was handed over stays on its way.

    Args:
        channel: name of the channel's service, to which the receipts come.
        route: sends to the router.
        max_per_session: how many messages of one session may be without a receipt.
        timeout_s: how long a message waits for its receipt.
        settled: told of each session that a message was accepted for.
        counters: where it is counted what becomes of messages.
    """

    def __init__(
        self,
        *,
        channel: str,
        route: Callable[[Message], None],
        max_per_session: int,
        timeout_s: float,
        settled: Callable[[str], None],
        counters: MutableMapping[str, float] | None = None,
    ) -> None:
        self._channel = channel
        self._route = route
        self._settled = settled
        self._counters = Tally() if counters is None else counters
        self._hold = Hold(max_per_session=max_per_session, timeout_s=timeout_s)
        self._receipts: dict[str, asyncio.Future[Accepted]] = {}
        self._id = secrets.token_hex(10)
        self._handed_over = 0
        self._none_left = asyncio.Event()
        self._none_left.set()
        self.router_known = False
        self.draining = False

    def use(self, *, max_per_session: int, timeout_s: float) -> None:
        """Other limits hold, for what comes from now on."""
        self._hold.use(max_per_session=max_per_session, timeout_s=timeout_s)

    def __len__(self) -> int:
        """How many messages are without a receipt."""
        return len(self._hold)

    async def take(
        self,
        *,
        session: str,
        text: str,
        message_id: str | None,
        correlation_id: str | None = None,
        truncated: bool = False,
        patient: bool = False,
    ) -> Accepted:
        """Hand a message over and wait until it stands in the journal.

        Args:
            session: the session's key.
            message_id: the sender's idempotency key; None: none, every hand-over is a message of its own.
            patient: the sender cannot try again, and waits behind more others than `sessions.max_pending`. Who takes
                messages so tries again itself, and counts what becomes of them in the end.

        Raises:
            NotTaken: the session, the router or this channel refused it, or nobody took it in time.
        """
        if self.draining:
            raise self._not_taken("draining", REFUSAL_TEXTS["draining"], patient=patient)
        self._handed_over += 1
        delivery_id = f"h-{self._id}.{self._handed_over}"
        deliver = Deliver(
            session=session,
            delivery_id=delivery_id,
            message_id=message_id or f"m-{delivery_id}",
            text=text,
            channel=self._channel,
            received_at=time.monotonic(),
            correlation_id=correlation_id or delivery_id,
            truncated=truncated,
            patient=patient,
        )
        if self._hold.put(deliver, "", time.monotonic()) is None:
            raise self._not_taken("busy", REFUSAL_TEXTS["busy"], patient=patient)
        receipt = self._receipts[delivery_id] = asyncio.get_running_loop().create_future()
        self._none_left.clear()
        if self.router_known:
            self._route(deliver)
        # Whoever asked may go away; the receipt is still waited for, by the hold.
        return await asyncio.shield(receipt)

    def accepted(self, message: Accepted) -> None:
        """A message stands in the journal."""
        held = self._hold.release(message.delivery_id)
        if held is None:
            return
        self._settled(message.session)
        if message.duplicate is not None and not held.deliver.patient:
            self._counters[series("messages_duplicate_total", channel=self._channel)] += 1
        receipt = self._pop(message.delivery_id)
        if not receipt.done():
            receipt.set_result(message)

    def refused(self, message: Refused) -> None:
        """A message was not taken."""
        held = self._hold.release(message.delivery_id)
        if held is not None:
            self._fail(held, message.code, message.text)

    def router_replaced(self) -> None:
        """A router that knows nothing of us serves now: it gets all that is held, in order."""
        self.router_known = True
        for held in self._hold:
            self._route(held.deliver)

    def tick(self, now: float) -> None:
        """Tell the senders of messages that nobody took in time."""
        for held in self._hold.expired(now):
            self._fail(held, "not_accepted", REFUSAL_TEXTS["not_accepted"])

    async def drain(self, timeout_s: float) -> None:
        """Take no more messages; wait until those on their way have their receipts, or the time is over."""
        self.draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._none_left.wait()
        except TimeoutError:
            pass  # what is still held is told so when the channel ends

    def shut_down(self) -> None:
        """Nothing more comes: tell who still waits."""
        for held in self._hold:
            self._hold.release(held.deliver.delivery_id)
            self._fail(held, "draining", REFUSAL_TEXTS["draining"])

    def _fail(self, held: Held, code: str, text: str) -> None:
        receipt = self._pop(held.deliver.delivery_id)
        error = self._not_taken(code, text, patient=held.deliver.patient)
        if not receipt.done():
            receipt.set_exception(error)
            receipt.exception()  # nobody may be there to take it

    def _not_taken(self, code: str, text: str, *, patient: bool) -> NotTaken:
        for key in () if patient else rejected(self._channel, code):
            self._counters[key] += 1
        return NotTaken(code, text)

    def _pop(self, delivery_id: str) -> asyncio.Future[Accepted]:
        receipt = self._receipts.pop(delivery_id)
        if not self._receipts:
            self._none_left.set()
        return receipt
