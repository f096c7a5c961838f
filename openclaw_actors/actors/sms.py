"""SmsOutbox: hands replies to Twilio, one after the other for each number. The shell around `core.outbox`.

What has to be sent, and how far it has come, the store knows; hearing of a turn's end only makes it quicker. So this
process may die at any moment: its next incarnation asks the store, and where it cannot tell, Twilio's list.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any

import msgspec

from openclaw_actors import logs
from openclaw_actors.actors.board import counters_of
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.own_secrets import own_secrets
from openclaw_actors.actors.replaceable import Replaceable
from openclaw_actors.actors.sms_carrier import Carrier
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.channels.twilio.outbound import MAX_PART_CHARS, number_of
from openclaw_actors.channels.twilio.parts import end_of_part
from openclaw_actors.config import decode
from openclaw_actors.config.features import TwilioConfig
from openclaw_actors.core.outbox import OutboxCore
from openclaw_actors.core.outbox_lane import (
    AskContact,
    Cancelled,
    ContactKnown,
    Due,
    Effect,
    Event,
    Failed,
    Look,
    Looked,
    OptOut,
    OutboxLimits,
    Post,
    Posted,
    ReadNext,
    Record,
    Recorded,
    ReplyRead,
    Tick,
)
from openclaw_actors.core.outbox_lane import Drained as DrainedEvent
from openclaw_actors.errors import AskRefused, ConfigError
from openclaw_actors.messages import (
    Address,
    Contact,
    Delivery,
    Directory,
    Drain,
    Drained,
    GetContact,
    Init,
    InitFailed,
    ListUndelivered,
    Message,
    NextReply,
    NextUndelivered,
    OutboxChanged,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    RecordDelivery,
    SessionEvents,
    SessionLost,
    SetDoNotText,
    ToolApprovalRequired,
    TurnDone,
    Undelivered,
)
from openclaw_actors.messages.outbox import SET_ASIDE

__all__ = ["SmsOutbox"]

logger = logging.getLogger(__name__)

_STORE_TIMEOUT_S = 30.0
_LIST_AGAIN_S = 15.0
_LIST_FAILED_S = 1.0
_TOKEN = "channels.sms.twilio.auth_token_ref"


class SmsOutbox(AsyncActor):
    """Sends the replies of sessions that began with an SMS."""

    process_name = "sms"

    def __init__(self) -> None:
        super().__init__()
        self._core: OutboxCore
        self._carriers: Replaceable[Carrier] | None = None
        self._aside: Counter[str] = Counter()
        """Replies that are set aside, by state."""
        self._waiting = 0
        """Sessions with something to send, when the store was asked last."""
        self._tick: asyncio.TimerHandle | None = None
        self._finished = asyncio.Event()
        """It drains, and nothing is on its way any more."""

    # Life

    @handles(Init)
    def initialise(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Begins to send what is undelivered."""
        self.incarnation = message.incarnation
        self.counters = counters_of(message.name)
        config = decode(message.settings).channels.sms.twilio
        try:
            carrier = _carrier(config, message)
        except ConfigError as error:
            self.stop_after_answer("not usable")
            return InitFailed(reason=str(error), code="configuration")
        self._directory = ServiceDirectory(message.directory)
        self._carriers = Replaceable(carrier, lambda coro: self.spawn(coro, name="close a carrier"))
        self._core = OutboxCore(_limits(config), end_of_part, self.counters)
        self.spawn(self._list_again(), name="list what is undelivered")
        return Ready(pid=os.getpid(), incarnation=message.incarnation)

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Sends in another way from now on; what is on its way comes to its end."""
        config = decode(message.settings)
        twilio = config.channels.sms.twilio
        try:
            carrier = _carrier(twilio, message)
        except ConfigError as error:
            raise AskRefused("configuration", str(error)) from None
        assert self._carriers is not None
        self._carriers.replace(carrier)
        self._core.limits = _limits(twilio)
        self._schedule_tick()
        logs.use(level=config.logging.level, form=config.logging.format)
        return Reconfigured(text=carrier.missing)

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """A service was replaced."""
        self._directory.update(message)

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many numbers wait, and why the first of them does."""
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing=self._doing(),
            gauges={
                "sms_ambiguous": self._aside["ambiguous"],
                "sms_dead_letters": self._aside["dead"],
                "sms_waiting": self._waiting,
            },
        )

    def _doing(self) -> str:
        lanes = self._core.lanes
        if not lanes:
            return "idle"
        troubles = [lane.trouble for lane in lanes.values() if lane.trouble]
        why = f" ({troubles[0][:120]})" if troubles else ""
        return f"sending to {len(lanes)}{why}" if len(lanes) > 1 else f"sending{why}"

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Begins nothing more, and lets what is on its way come to its end."""
        self._happened(DrainedEvent())
        try:
            async with asyncio.timeout(message.grace_s):
                await self._finished.wait()
        except TimeoutError:
            logger.warning("an SMS is on its way still; the next start finds out what became of it")
        return Drained()

    async def on_stop(self) -> None:
        """Closes the connections to Twilio."""
        if self._carriers is not None:
            await self._carriers.close()

    # What is due

    async def _list_again(self) -> None:
        """Asks the store, at the start and ever again: whatever was not heard of is found so."""
        while True:
            await self._list()
            await asyncio.sleep(_LIST_AGAIN_S)

    async def _list(self) -> None:
        message = ListUndelivered(limit=self._core.limits.lanes)
        while True:
            try:
                found: Undelivered = await self._ask_store(message)
                break
            except AskRefused as refusal:
                logger.error("what is undelivered cannot be listed: %s", refusal)
                await asyncio.sleep(_LIST_FAILED_S)
        self._aside = Counter({state: found.counts.get(state, 0) for state in SET_ASIDE})
        self._waiting = len(found.sessions)
        self._happened(Due(found.sessions))

    @handles(SessionEvents)
    def session_spoke(self, message: SessionEvents, sender: Address) -> None:
        """A turn ended: its text is the reply; or a tool asks whether it may run."""
        if any(
            isinstance(event, ToolApprovalRequired) or (isinstance(event, TurnDone) and event.text.strip())
            for event in message.events
        ):
            self._happened(Due((message.session,)))

    @handles(SessionLost)
    def session_lost(self, message: SessionLost, sender: Address) -> None:
        """Its next incarnation goes on; what it had ended, the store knows."""

    @handles(OutboxChanged)
    def outbox_changed(self, message: OutboxChanged, sender: Address) -> None:
        """A person wants something tried again, or forgotten."""
        self.spawn(self._list(), name="list after a change")

    # Effects

    def _happened(self, event: Event) -> None:
        self._carry_out(self._core.handle(event, self.loop.time()))
        self._schedule_tick()
        if self._core.draining and not self._core.finishing:
            self._finished.set()

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self.spawn(self._do(effect), name=type(effect).__name__)

    def _do(self, effect: Effect) -> Coroutine[Any, Any, None]:
        match effect:
            case ReadNext():
                return self._read(effect.session)
            case AskContact():
                return self._ask_contact(effect.session)
            case Record():
                return self._record(effect.delivery)
            case Post():
                return self._post(effect)
            case Look():
                return self._look(effect)
            case OptOut():
                return self._opt_out(effect.session)

    async def _read(self, session: str) -> None:
        try:
            reply: NextReply = await self._ask_store(NextUndelivered(session=session))
        except AskRefused as refusal:
            logger.error("the next reply of %s cannot be read: %s", session, refusal)
            self._happened(Failed(session, f"its conversation cannot be read ({refusal.code})"))
            return
        age_s = time.time() - reply.delivery.since if reply.delivery is not None else 0.0
        self._happened(ReplyRead(reply, max(0.0, age_s)))

    async def _ask_contact(self, session: str) -> None:
        try:
            contact: Contact = await self._ask_store(GetContact(phone=number_of(session)))
        except AskRefused as refusal:
            logger.error("whether %s may be texted cannot be read: %s", session, refusal)
            self._happened(Failed(session, f"whether the person said STOP cannot be read ({refusal.code})"))
            return
        self._happened(ContactKnown(session, contact.do_not_text, contact.certain))

    async def _record(self, delivery: Delivery) -> None:
        now = time.time()
        delivery = msgspec.structs.replace(delivery, at=now, since=delivery.since or now)
        message = RecordDelivery(delivery=delivery, incarnation=self.incarnation or 0)
        try:
            await self._ask_store(message)
        except AskRefused as refusal:
            if refusal.code == "fenced":
                logger.error("another process sends SMS; this one ends")
                self.stop("fenced")
                return
            if refusal.code == "gone":
                logger.info("%s/%d is not sent: its conversation was deleted", delivery.session, delivery.seq)
                self._happened(Cancelled(delivery.session))
                return
            logger.error("%s/%d: its state cannot be written: %s", delivery.session, delivery.seq, refusal)
            self._happened(Failed(delivery.session, "the store does not take what is to be noted"))
            return
        self._note(delivery)
        self._happened(Recorded(delivery))

    def _note(self, delivery: Delivery) -> None:
        name = f"{delivery.session}/{delivery.seq}"
        if delivery.state in SET_ASIDE:
            self._aside[delivery.state] += 1
            logger.error("%s, part %d, is %s: %s", name, delivery.part, delivery.state, delivery.reason)
        elif delivery.state == "retrying":
            logger.warning("%s, part %d, is tried again: %s", name, delivery.part, delivery.reason)
        else:
            logger.info("%s, part %d: %s", name, delivery.part, delivery.state)

    async def _post(self, post: Post) -> None:
        assert self._carriers is not None
        with self._carriers.used() as carrier:
            outcome = await carrier.post(post)
        self._happened(Posted(post.session, outcome))

    async def _look(self, look: Look) -> None:
        assert self._carriers is not None
        with self._carriers.used() as carrier:
            outcome = await carrier.look(look)
        self._happened(Looked(look.session, outcome))

    async def _opt_out(self, session: str) -> None:
        message = SetDoNotText(phone=number_of(session), do_not_text=True, at=time.time())
        try:
            await self._ask_store(message)
        except AskRefused as refusal:
            # Twilio says so again, should another reply be due.
            logger.error("that %s said STOP could not be noted: %s", session, refusal)

    async def _ask_store(self, message: Message) -> Any:
        return await self._directory.ask(self, "persistence", message, timeout_s=_STORE_TIMEOUT_S)

    # Time

    def _schedule_tick(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        now = self.loop.time()
        at = self._core.next_tick_at(now)
        if at is not None:
            self._tick = self.call_later(max(0.0, at - now), self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._tick = None
        self._happened(Tick())


def _carrier(config: TwilioConfig, message: Init | Reconfigure) -> Carrier:
    carrier = Carrier(config, own_secrets(message).get(_TOKEN, ""))
    if carrier.missing:
        logger.error("no SMS can be sent: %s", carrier.missing)
    return carrier


def _limits(config: TwilioConfig) -> OutboxLimits:
    return OutboxLimits(
        concurrent=config.max_concurrent_sends,
        part_chars=MAX_PART_CHARS,
        max_parts=config.max_reply_parts,
        backoff_s=config.retry_backoff_seconds,
        backoff_max_s=config.retry_backoff_max_seconds,
        retry_for_s=config.retry_for_seconds,
        grace_s=config.ambiguous_grace_seconds,
        look_for_s=max(config.retry_for_seconds, config.ambiguous_grace_seconds),
        resend_ambiguous=config.resend_ambiguous,
    )
