"""Decides what the outbox's journal means: which replies wait, how far each has come, which are set aside.

Plain objects; whoever applies the same changes in the same order knows the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from openclaw_actors.messages.outbox import SET_ASIDE, Delivery

__all__ = [
    "Again",
    "Box",
    "Boxes",
    "Change",
    "Cleared",
    "Dropped",
    "Due",
    "Gone",
    "Kept",
    "Step",
    "decode_change",
    "encode_change",
]

_MAX_SIDS = 20
_MAX_SET_ASIDE = 10_000
_MAX_SETTLED = 10_000
_REMEMBER_S = 3_600.0
"""For so long after the last reply the carrier's names of a number's messages are remembered."""
_PRUNE_EVERY = 256


class _Change(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    session: str


class Due(_Change, frozen=True, tag="due"):
    """A reply is about to be recorded. May be followed by no such record, if writing that fails."""

    seq: int
    after: int
    """Everything up to here was settled, where nothing else is known of the session."""
    at: float


class Cleared(_Change, frozen=True, tag="cleared"):
    """No record followed; counts only if nothing became due since."""

    marks: int


class Step(_Change, frozen=True, tag="step"):
    """A reply has come further."""

    delivery: Delivery


class Again(_Change, frozen=True, tag="again"):
    """A person wants a reply that was set aside to be tried again."""

    seq: int
    at: float


class Gone(_Change, frozen=True, tag="gone"):
    """A person wants a reply that was set aside to be forgotten."""

    seq: int


class Dropped(_Change, frozen=True, tag="dropped"):
    """The conversation was deleted: what waits of it up to here is not sent any more."""

    seq: int


class Box(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one session's replies."""

    cursor: int
    """Replies up to this number are settled, apart from those in `again`."""
    due: int = 0
    marks: int = 0
    """How often something became due."""
    at: float = 0.0
    current: Delivery | None = None
    aside: dict[int, Delivery] = {}
    again: dict[int, Delivery] = {}
    sids: tuple[str, ...] = ()
    doubtful: bool = False

    @property
    def undelivered(self) -> bool:
        """Whether replies are to be sent."""
        return self.due > self.cursor or bool(self.again)

    def waits(self, seq: int) -> bool:
        """Is a reply to be sent still?"""
        return seq in self.again or self.cursor < seq <= self.due

    @property
    def settled(self) -> bool:
        """Whether nothing is left to send, to decide or to look for."""
        return not (self.undelivered or self.aside or self.doubtful)


class Kept(_Change, frozen=True, tag="kept"):
    """A session as it stood when the journal was compacted."""

    box: Box


Change: TypeAlias = Due | Cleared | Step | Again | Gone | Dropped | Kept

_decoder: msgspec.json.Decoder[Change] = msgspec.json.Decoder(Change)


def encode_change(change: Change) -> bytes:
    """The change as JSON."""
    return msgspec.json.encode(change)


def decode_change(data: bytes) -> Change:
    """Reads what `encode_change` wrote, other members ignored; raises `msgspec.DecodeError`."""
    return _decoder.decode(data)


class Boxes:
    """All sessions of which the outbox knows something, those that changed last at the end."""

    def __init__(self) -> None:
        self._boxes: dict[str, Box] = {}
        self._applied = 0
        self._set_aside = 0
        self._now = 0.0
        self.forgotten = 0
        """Replies that were set aside and had to make room for others."""

    def __len__(self) -> int:
        return len(self._boxes)

    def get(self, session: str) -> Box | None:
        """What is known of a session."""
        return self._boxes.get(session)

    def items(self) -> Iterator[tuple[str, Box]]:
        """All sessions, the longest unchanged first."""
        return iter(self._boxes.items())

    def apply(self, change: Change) -> None:
        """Takes one change over."""
        match change:
            case Due():
                self._due(change)
            case Cleared():
                box = self._boxes.get(change.session)
                if box is not None and box.marks == change.marks:
                    box.due, box.current, box.doubtful = box.cursor, None, False
            case Step():
                self._step(change.delivery)
            case Again():
                self._again(change)
            case Gone():
                box = self._boxes.get(change.session)
                if box is not None and box.aside.pop(change.seq, None) is not None:
                    self._set_aside -= 1
            case Dropped():
                self._dropped(change)
            case Kept():
                self._boxes[change.session] = change.box
                self._set_aside += len(change.box.aside)
                self._now = max(self._now, change.box.at)
        self._applied += 1
        if self._applied % _PRUNE_EVERY == 0:
            self.prune()

    def _due(self, change: Due) -> None:
        box = self._boxes.get(change.session)
        if box is None or change.seq <= box.cursor:
            # Numbers only rise, so one that was settled already belongs to a conversation that began anew.
            if box is not None:
                self._set_aside -= len(box.aside)
            box = Box(cursor=change.after)
        if not box.undelivered:
            box.at = change.at
        box.due = max(box.due, change.seq)
        box.marks += 1
        self._touch(change.session, box, change.at)

    def _step(self, delivery: Delivery) -> None:
        box = self._boxes.get(delivery.session)
        if box is None:
            box = Box(cursor=delivery.seq - 1, due=delivery.seq)
        new = tuple(sid for sid in delivery.sids if sid not in box.sids)
        box.sids = (*box.sids, *new)[-_MAX_SIDS:]
        if delivery.done:
            box.again.pop(delivery.seq, None)
            if box.current is not None and box.current.seq <= delivery.seq:
                box.current = None
            box.cursor = max(box.cursor, delivery.seq)
            box.at = delivery.at
            if not box.undelivered:
                box.doubtful = False
            if delivery.state in SET_ASIDE:
                self._set_aside += delivery.seq not in box.aside
                box.aside[delivery.seq] = delivery
        elif delivery.seq in box.again:
            box.again[delivery.seq] = delivery
        else:
            box.current = delivery
        self._touch(delivery.session, box, delivery.at)

    def _again(self, change: Again) -> None:
        box = self._boxes.get(change.session)
        delivery = box.aside.pop(change.seq, None) if box is not None else None
        if box is None or delivery is None:
            return
        self._set_aside -= 1
        unknown = delivery.state == "ambiguous"
        box.again[change.seq] = msgspec.structs.replace(
            delivery,
            state="prepared" if unknown else "retrying",
            repeat=unknown,
            since=delivery.since if unknown else change.at,
            attempts=0,
            done=False,
        )
        box.at = change.at
        self._touch(change.session, box, change.at)

    def _dropped(self, change: Dropped) -> None:
        box = self._boxes.get(change.session)
        if box is None:
            return
        box.cursor = max(box.cursor, change.seq)
        if box.current is not None and box.current.seq <= box.cursor:
            box.current = None
        box.again = {seq: delivery for seq, delivery in box.again.items() if seq > change.seq}
        if not box.undelivered:
            box.doubtful = False

    def _touch(self, session: str, box: Box, at: float) -> None:
        self._boxes.pop(session, None)
        self._boxes[session] = box
        self._now = max(self._now, at)

    def doubt(self) -> None:
        """What is known may be too little: whatever waits may have been sent."""
        for box in self._boxes.values():
            box.doubtful = box.undelivered

    def prune(self) -> None:
        """Forgets sessions with nothing to send whose last message is long past, and the oldest of too many."""
        settled = [session for session, box in self._boxes.items() if box.settled]
        spare = len(settled) - _MAX_SETTLED
        for index, session in enumerate(settled):
            if index < spare or self._boxes[session].at < self._now - _REMEMBER_S:
                del self._boxes[session]
        while self._set_aside > _MAX_SET_ASIDE:
            box = next(box for box in self._boxes.values() if box.aside)
            del box.aside[min(box.aside)]
            self._set_aside -= 1
            self.forgotten += 1

    def kept(self) -> Iterable[Kept]:
        """Changes that lead here from nothing."""
        return [Kept(session=session, box=box) for session, box in self._boxes.items()]
