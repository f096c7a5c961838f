"""Owns an outbox without processes for tests: the core, a clock, a store, and a carrier with moods."""

from __future__ import annotations

__all__ = ["S", "World"]

import random
from collections import deque

import msgspec

from openclaw_actors.core.outbox import OutboxCore
from openclaw_actors.core.outbox_lane import (
    Absent,
    AskContact,
    Cancelled,
    ContactKnown,
    Drained,
    Due,
    Effect,
    Event,
    Failed,
    Found,
    Look,
    Looked,
    NotTaken,
    OptOut,
    OutboxLimits,
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
from openclaw_actors.messages.outbox import Delivery, NextReply

S = "sms:+15551234567"
LIMITS = OutboxLimits(
    part_chars=60, max_parts=5, backoff_s=1.0, backoff_max_s=8.0, retry_for_s=100.0, grace_s=30.0
)


def cut(text: str, start: int, longest: int) -> int:
    return min(len(text), start + longest)


class World:
    """What surrounds an outbox. Effects wait in `wanted` until `step` carries one out; `run` carries out all."""

    def __init__(self, limits: OutboxLimits = LIMITS) -> None:
        self.limits = limits
        self.now = 0.0
        self.replies: dict[str, dict[int, str]] = {}
        self.written: dict[tuple[str, int], Delivery] = {}
        self.steps: list[Delivery] = []
        self.taken: list[tuple[str, str, str]] = []
        """(session, sid, body), in the order in which the carrier took them."""
        self.shown_after: dict[str, float] = {}
        self.moods: deque[str] = deque()
        self.posts: list[tuple[float, str]] = []
        self.list_mood = "shows"
        self.stopped: set[str] = set()
        self.uncertain: set[str] = set()
        self.opted_out: list[str] = []
        self.refuses_notes = False
        self.restart()

    def restart(self) -> None:
        """The process dies; the next one begins."""
        self.core = OutboxCore(self.limits, cut, random_source=random.Random(1))
        self.wanted: deque[Effect] = deque()
        open_ = [
            session
            for session, replies in self.replies.items()
            if any(not self.state(seq, session).endswith("done") for seq in replies)
        ]
        self.happened(Due(tuple(open_)))

    def reply(self, seq: int, text: str, session: str = S) -> None:
        """A turn has ended."""
        self.replies.setdefault(session, {})[seq] = text
        self.happened(Due((session,)))

    def delete(self, session: str = S) -> None:
        """Its conversation was deleted, as the store does it: what is not done is forgotten."""
        self.replies[session] = {
            seq: text
            for seq, text in self.replies[session].items()
            if self.state(seq, session).endswith("done")
        }

    def again(self, seq: int, session: str = S) -> None:
        """A person wants it tried again, as the store does it."""
        before = self.written[session, seq]
        unknown = before.state == "ambiguous"
        self.written[session, seq] = msgspec.structs.replace(
            before, state="prepared" if unknown else "retrying", repeat=unknown, done=False, since=self.now
        )
        self.happened(Due((session,)))

    def happened(self, event: Event) -> None:
        self.wanted.extend(self.core.handle(event, self.now))

    def state(self, seq: int, session: str = S) -> str:
        delivery = self.written.get((session, seq))
        return "waiting" if delivery is None else delivery.state + (" done" if delivery.done else "")

    def bodies(self, session: str = S) -> list[str]:
        return [body for whose, _, body in self.taken if whose == session]

    # Doing

    def run(self, *, for_s: float = 0.0) -> None:
        """Carries out everything, and lets time pass where nothing else is left to do."""
        end = self.now + for_s
        while True:
            while self.wanted:
                self.step()
            at = self.core.next_tick_at(self.now)
            if at is None or at > end:
                self.now = end
                return
            assert at >= self.now
            self.now = at
            self.happened(Tick())

    def step(self) -> None:
        """Carries out one effect."""
        event = self._do(self.wanted.popleft())
        if event is not None:
            self.happened(event)

    def _do(self, effect: Effect) -> Event | None:
        match effect:
            case ReadNext(session):
                return self._next(session)
            case AskContact(session):
                return ContactKnown(session, session in self.stopped, session not in self.uncertain)
            case Record(delivery):
                return self._write(delivery)
            case Post():
                return self._post(effect)
            case Look():
                return Looked(effect.session, self._look(effect))
            case OptOut(session):
                self.opted_out.append(session)
                return None

    def _next(self, session: str) -> Event:
        for seq, text in sorted(self.replies[session].items()):
            delivery = self.written.get((session, seq))
            if delivery is None or not delivery.done:
                sids = tuple(sid for _, sid, _ in self.taken if self._known(session, sid))
                reply = NextReply(session=session, seq=seq, text=text, delivery=delivery, known_sids=sids)
                return ReplyRead(reply, self.now - delivery.since if delivery is not None else 0.0)
        return ReplyRead(NextReply(session=session), 0.0)

    def _known(self, session: str, sid: str) -> bool:
        return any(sid in each.sids for (whose, _), each in self.written.items() if whose == session)

    def _write(self, delivery: Delivery) -> Event:
        if self.refuses_notes:
            return Failed(delivery.session, "the disk is full")
        if not delivery.done and delivery.seq not in self.replies[delivery.session]:
            return Cancelled(delivery.session)
        delivery = msgspec.structs.replace(delivery, at=self.now, since=delivery.since or self.now)
        self.written[delivery.session, delivery.seq] = delivery
        self.steps.append(delivery)
        return Recorded(delivery)

    def _post(self, post: Post) -> Event | None:
        noted = {seq: each.state for (whose, seq), each in self.written.items() if whose == post.session}
        # Of a conversation that was deleted meanwhile the note is all that is left.
        seq = min((seq for seq in self.replies[post.session] if not self._done(seq, post.session)), default=0)
        assert noted[seq or max(noted)] == "prepared", "a part goes out only when the disk knows of it"
        self.posts.append((self.now, post.body))
        mood = self.moods.popleft() if self.moods else "takes"
        match mood:
            case "takes":
                return Posted(post.session, Taken(self._take(post)))
            case "takes in silence":
                self._take(post)
                return Posted(post.session, Unknown("no answer"))
            case "is silent":
                return Posted(post.session, Unknown("no answer"))
            case "fails":
                return Posted(post.session, Unknown("HTTP 500", answered=True))
            case "takes and fails":
                self._take(post)
                return Posted(post.session, Unknown("HTTP 500", answered=True))
            case "is busy":
                return Posted(post.session, NotTaken("HTTP 429", 20429, 5.0))
            case "is away":
                return Posted(post.session, NotTaken("no connection"))
            case "says stop":
                return Posted(post.session, Refused("HTTP 400", 21610, opted_out=True))
            case "refuses":
                return Posted(post.session, Refused("HTTP 400", 21211))
        raise AssertionError(mood)

    def _done(self, seq: int, session: str) -> bool:
        return self.state(seq, session).endswith("done")

    def _take(self, post: Post) -> str:
        sid = f"SM{len(self.taken) + 1}"
        self.taken.append((post.session, sid, post.body))
        return sid

    def _look(self, look: Look) -> Found | Absent | Unclear | Unfound:
        match self.list_mood:
            case "is away":
                return Unfound("no connection")
            case "is closed":
                return Unfound("HTTP 403", final=True)
            case "shows others":
                return Unclear()
            case "lags":
                return Absent()
        shown = [(sid, body) for session, sid, body in self.taken if session == look.session]
        for sid, body in shown:
            if body in look.bodies and sid not in look.known_sids:
                return Found(sid)
        return Absent()

    def drain(self) -> None:
        self.happened(Drained())
