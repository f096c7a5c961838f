"""Decides how replies leave: one after the other for each number, never lost, never twice.

Before a part goes out, the disk has it that it may be on its way (`prepared`); after the carrier's answer, what came of
it. So a process that dies in between leaves a part whose fate nobody knows, as a time-out does: then the carrier's list
is asked. What it shows was sent. What it does not show after a grace was probably not sent, but nobody can be sure; it
is set aside as `ambiguous` for a person, unless the configuration says to send it again, labelled. Only where the
carrier itself said that the request failed does a list without the part settle the matter: it is tried again.

No clock and no socket: times are monotonic seconds, passed in.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import MutableMapping

from openclaw_actors.core.backoff import Backoff
from openclaw_actors.core.outbox_lane import (
    ACTIVE,
    Absent,
    AskContact,
    Cancelled,
    ContactKnown,
    Cut,
    Drained,
    Due,
    Effect,
    Event,
    Failed,
    Found,
    Lane,
    Look,
    Looked,
    NotTaken,
    OptOut,
    OutboxLimits,
    Phase,
    Post,
    Posted,
    ReadNext,
    Record,
    Recorded,
    Refused,
    ReplyRead,
    Taken,
    Tick,
    Unclear,
    Unfound,
    Unknown,
)
from openclaw_actors.core.outbox_steps import begins, bodies_of, body_of, changed, prepare, taken
from openclaw_actors.core.series import Tally
from openclaw_actors.messages.outbox import Delivery

__all__ = ["OutboxCore"]

_LOOK_FIRST_S = 1.0
_LOOK_MAX_S = 15.0
_JITTER = 0.2


class OutboxCore:
    """The outbox's decisions.

    Args:
        limits: see there.
        cut: finds where a part ends.
        counters: where it is counted what becomes of parts and replies.
        random_source: of the jitter.
    """

    def __init__(
        self,
        limits: OutboxLimits,
        cut: Cut,
        counters: MutableMapping[str, float] | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        self.limits = limits
        self.lanes: OrderedDict[str, Lane] = OrderedDict()
        self.counters = Tally() if counters is None else counters
        self.draining = False
        self._cut = cut
        self._random = random_source or random.Random()
        self._pause_until = 0.0
        self._active = 0

    @property
    def finishing(self) -> bool:
        """Does anything have to end before the process may: something is on its way, or not on the disk yet?"""
        return any(
            lane.phase in (Phase.POSTING, Phase.RECORDING)
            or (lane.phase in (Phase.WAITING, Phase.READY) and lane.then is Phase.RECORDING)
            for lane in self.lanes.values()
        )

    def next_tick_at(self, now: float) -> float | None:
        """When something has to be looked at again; None: only when something happens."""
        times = [lane.wake_at for lane in self.lanes.values() if lane.phase is Phase.WAITING]
        if self._pause_until > now:
            times.append(self._pause_until)
        return min(times) if times else None

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Something happened; returns what is wanted."""
        effects: list[Effect] = []
        match event:
            case Due():
                self._due(event.sessions)
            case Drained():
                self.draining = True
            case Tick():
                pass
            case _:
                session = event.reply.session if isinstance(event, ReplyRead) else _session_of(event)
                lane = self.lanes.get(session)
                if lane is not None and lane.phase in ACTIVE:
                    effects = self._react(lane, event, now)
        return effects + self._fill(now)

    def _react(self, lane: Lane, event: Event, now: float) -> list[Effect]:
        match lane.phase, event:
            case Phase.READING, ReplyRead():
                return self._read(lane, event, now)
            case Phase.ASKING, ContactKnown():
                return self._contact(lane, event, now)
            case Phase.RECORDING, Recorded():
                return self._recorded(lane, event.delivery, now)
            case Phase.POSTING, Posted():
                return self._posted(lane, event, now)
            case Phase.LOOKING, Looked():
                return self._looked(lane, event, now)
            case Phase.RECORDING, Cancelled():
                return self._forget(lane)
            case ((Phase.READING | Phase.ASKING | Phase.RECORDING), Failed()):
                lane.trouble = event.reason
                return self._wait(lane, lane.phase, lane.backoff.next_delay_s(), now)
        return []

    # Places

    def _due(self, sessions: tuple[str, ...]) -> None:
        for session in sessions:
            lane = self.lanes.get(session)
            if lane is not None:
                lane.more = True
            elif len(self.lanes) < self.limits.lanes:
                self.lanes[session] = Lane(session, self._backoff())

    def _fill(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for lane in list(self.lanes.values()):
            if lane.phase is Phase.WAITING and lane.wake_at <= now:
                lane.phase = Phase.READY
            if lane.phase is not Phase.READY or self._active >= self.limits.concurrent:
                continue
            if lane.then is Phase.RECORDING or not (self.draining or self._pause_until > now):
                effects += self._go_on(lane)
        return effects

    def _go_on(self, lane: Lane) -> list[Effect]:
        match lane.then:
            case Phase.ASKING:
                return self._enter(lane, Phase.ASKING, AskContact(lane.session))
            case Phase.RECORDING if lane.recording is not None:
                return self._enter(lane, Phase.RECORDING, Record(lane.recording))
            case Phase.LOOKING:
                return self._look(lane)
        lane.more = False
        return self._enter(lane, Phase.READING, ReadNext(lane.session))

    def _enter(self, lane: Lane, phase: Phase, *effects: Effect) -> list[Effect]:
        self._active += (phase in ACTIVE) - (lane.phase in ACTIVE)
        lane.phase = phase
        return list(effects)

    def _wait(self, lane: Lane, then: Phase, delay_s: float, now: float) -> list[Effect]:
        lane.wake_at, lane.then = now + delay_s, then
        return self._enter(lane, Phase.WAITING)

    def _next(self, lane: Lane, then: Phase) -> list[Effect]:
        """Its next step, after those of all others that wait for a place."""
        lane.then = then
        self.lanes.move_to_end(lane.session)
        return self._enter(lane, Phase.READY)

    def _backoff(self) -> Backoff:
        return Backoff(
            self.limits.backoff_s, self.limits.backoff_max_s, jitter=_JITTER, random_source=self._random
        )

    # A reply

    def _read(self, lane: Lane, event: ReplyRead, now: float) -> list[Effect]:
        lane.backoff.reset()
        if not event.reply.seq:
            if lane.more:
                return self._next(lane, Phase.READING)
            self._enter(lane, Phase.READY)
            del self.lanes[lane.session]
            return []
        lane.reply, lane.delivery = event.reply, event.reply.delivery
        lane.deadline = now + max(0.0, self.limits.retry_for_s - event.age_s)
        lane.trouble, lane.looked = "", False
        return self._next_step(lane, now)

    def _next_step(self, lane: Lane, now: float) -> list[Effect]:
        """Asks before anything is sent: the list, where this part may have been sent, else the person's wish."""
        delivery = lane.delivery
        in_doubt = delivery is not None and (delivery.state == "prepared" or delivery.doubtful)
        if in_doubt and not lane.looked:
            return self._begin_looking(lane, now, answered=False, delay_s=0.0)
        return self._next(lane, Phase.ASKING)

    def _contact(self, lane: Lane, contact: ContactKnown, now: float) -> list[Effect]:
        if self.draining:
            return self._next(lane, Phase.ASKING)
        if not contact.certain:
            lane.trouble = "whether the person said STOP is not known"
            if now >= lane.deadline:
                return self._set_aside(lane, "dead", lane.trouble)
            return self._wait(lane, Phase.ASKING, self.limits.backoff_max_s, now)
        assert lane.reply is not None
        if contact.do_not_text:
            started = lane.delivery or begins(lane.reply)
            return self._record(
                lane, changed(started, state="suppressed", done=True, reason="the person said STOP")
            )
        return self._record(lane, prepare(lane.reply, lane.delivery, self.limits, self._cut))

    def _record(self, lane: Lane, delivery: Delivery) -> list[Effect]:
        lane.recording = delivery
        return self._enter(lane, Phase.RECORDING, Record(delivery))

    def _recorded(self, lane: Lane, delivery: Delivery, now: float) -> list[Effect]:
        lane.recording, lane.delivery, lane.looked = None, delivery, False
        reply = lane.reply
        assert reply is not None
        if delivery.done:
            self._count_end(delivery)
            return self._forget(lane)
        match delivery.state:
            case "prepared":
                return self._enter(
                    lane, Phase.POSTING, Post(lane.session, body_of(reply, delivery, self.limits))
                )
            case "retrying":
                self.counters["sms_retries_total"] += 1
                return self._wait(lane, Phase.ASKING, max(0.0, lane.wake_at - now), now)
        return self._next_step(lane, now)

    def _forget(self, lane: Lane) -> list[Effect]:
        lane.reply = lane.delivery = lane.recording = None
        lane.backoff = self._backoff()
        return self._next(lane, Phase.READING)

    def _count_end(self, delivery: Delivery) -> None:
        if delivery.state == "suppressed":
            self.counters["sms_suppressed_total"] += 1

    # An attempt

    def _posted(self, lane: Lane, event: Posted, now: float) -> list[Effect]:
        match event.outcome:
            case Taken(sid):
                self._pause_until = 0.0
                return self._taken(lane, sid, "sent")
            case NotTaken():
                return self._not_taken(lane, event.outcome, now)
            case Refused(reason, code, opted_out):
                asks: list[Effect] = [OptOut(lane.session)] if opted_out else []
                return asks + self._set_aside(lane, "dead", reason, code)
            case Unknown(reason, answered):
                lane.trouble = reason
                return self._begin_looking(lane, now, answered=answered, delay_s=_LOOK_FIRST_S)

    def _taken(self, lane: Lane, sid: str, state: str) -> list[Effect]:
        assert lane.reply is not None
        assert lane.delivery is not None
        self.counters["sms_sent_total"] += 1
        self.counters["sms_confirmed_total"] += state == "confirmed"
        lane.backoff.reset()
        return self._record(lane, taken(lane.reply, lane.delivery, sid, state, self.limits))

    def _not_taken(self, lane: Lane, outcome: NotTaken, now: float) -> list[Effect]:
        assert lane.delivery is not None
        lane.trouble = outcome.reason
        delay_s = lane.backoff.next_delay_s()
        if outcome.retry_after_s is not None:
            # Never earlier than asked for, and not all in the same instant.
            delay_s = max(delay_s, outcome.retry_after_s * (1 + 0.1 * self._random.random()))
        if now + delay_s >= lane.deadline:
            return self._set_aside(lane, "dead", outcome.reason, outcome.code)
        lane.wake_at = now + delay_s
        if outcome.everybody:
            self._pause_until = max(self._pause_until, lane.wake_at)
        return self._record(
            lane, changed(lane.delivery, state="retrying", reason=outcome.reason, code=outcome.code)
        )

    def _set_aside(self, lane: Lane, state: str, reason: str, code: int | None = None) -> list[Effect]:
        assert lane.reply is not None
        started = lane.delivery or begins(lane.reply)
        return self._record(lane, changed(started, state=state, done=True, reason=reason, code=code))

    # The carrier's list

    def _begin_looking(self, lane: Lane, now: float, *, answered: bool, delay_s: float) -> list[Effect]:
        lane.answered, lane.look_began, lane.looks, lane.looked = answered, now, 0, True
        return self._wait(lane, Phase.LOOKING, delay_s, now)

    def _look(self, lane: Lane) -> list[Effect]:
        assert lane.reply is not None
        assert lane.delivery is not None
        if not lane.delivery.end or lane.delivery.state in ("sent", "confirmed"):
            # Damage: what may have been sent is the part that would be sent now.
            lane.delivery = prepare(lane.reply, lane.delivery, self.limits, self._cut)
        look = Look(
            lane.session,
            bodies_of(lane.reply, lane.delivery, self.limits),
            lane.delivery.since,
            frozenset((*lane.reply.known_sids, *lane.delivery.sids)),
        )
        return self._enter(lane, Phase.LOOKING, look)

    def _looked(self, lane: Lane, event: Looked, now: float) -> list[Effect]:
        result, waited_s = event.result, now - lane.look_began
        if isinstance(result, Found):
            return self._taken(lane, result.sid, "confirmed")
        if isinstance(result, Unfound):
            lane.trouble = result.reason
            if waited_s >= (self.limits.grace_s if result.final else self.limits.look_for_s):
                return self._set_aside(
                    lane, "ambiguous", f"{result.reason}: whether it was taken is not known"
                )
        elif waited_s >= self.limits.grace_s:
            return self._not_found(lane, result, now)
        lane.looks += 1
        delay_s = min(_LOOK_MAX_S, _LOOK_FIRST_S * 2.0**lane.looks)
        if waited_s < self.limits.grace_s:
            delay_s = min(delay_s, max(0.1, self.limits.grace_s - waited_s))
        return self._wait(lane, Phase.LOOKING, delay_s, now)

    def _not_found(self, lane: Lane, result: Absent | Unclear, now: float) -> list[Effect]:
        delivery = lane.delivery
        assert delivery is not None
        if isinstance(result, Absent):
            if lane.answered:
                return self._not_taken(lane, NotTaken(lane.trouble, everybody=False), now)
            if delivery.repeat or (self.limits.resend_ambiguous and not delivery.labelled):
                lane.delivery = changed(
                    delivery, state="retrying", labelled=True, repeat=False, doubtful=False
                )
                return self._next(lane, Phase.ASKING)
        why = lane.trouble or "the gateway ended while it was sent"
        return self._set_aside(lane, "ambiguous", f"{why}; the list does not show it")


def _session_of(event: ContactKnown | Recorded | Cancelled | Failed | Posted | Looked) -> str:
    return event.delivery.session if isinstance(event, Recorded) else event.session
