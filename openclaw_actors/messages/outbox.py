"""About replies that leave by an outbox, such as SMS: how far each has come, kept by the PersistenceActor.

The record of a turn's end is the reply; nothing is copied. `Delivery` says what became of it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Plain, Value

__all__ = [
    "SET_ASIDE",
    "Delivery",
    "DeliveryRecorded",
    "DeliveryState",
    "ListOutbox",
    "ListUndelivered",
    "NextReply",
    "NextUndelivered",
    "OutboxChanged",
    "OutboxDone",
    "OutboxPage",
    "PurgeOutbox",
    "RecordDelivery",
    "RetryOutbox",
    "Undelivered",
]

DeliveryState: TypeAlias = Literal[
    "waiting", "prepared", "retrying", "sent", "confirmed", "suppressed", "ambiguous", "dead"
]
"""`waiting`: nothing was tried yet. `prepared`: a part may be on its way. `retrying`: the last attempt surely failed.
`sent`: the carrier's answer says that it took the part. `confirmed`: its list says so. `suppressed`: the person had
said STOP. `ambiguous`: whether the carrier took the part cannot be found out. `dead`: the carrier will not take it."""

SET_ASIDE: frozenset[DeliveryState] = frozenset({"ambiguous", "dead"})
"""A person decides about these: retry or purge."""


class Delivery(Value, omit_defaults=True):
    """How far one reply has come. Each replaces the one before it."""

    session: str
    seq: int
    """Of the turn's end, whose text is the reply."""
    state: DeliveryState
    at: float
    """Unix time, seconds, since when it has been in this state."""
    since: float
    """Unix time, seconds, of the first attempt; where somebody asked for another try, of that."""
    part: int = 1
    """Number of the part that is sent now, or was sent last."""
    start: int = 0
    end: int = 0
    """That part of the text, in code points; everything before `start` was taken."""
    attempts: int = 0
    """Of this part."""
    sids: tuple[str, ...] = ()
    """The carrier's names of the parts that it took."""
    code: int | None = None
    """The carrier's error code."""
    reason: str = ""
    """One line for a person, without the reply's text."""
    done: bool = False
    """Nothing more is done about this reply, unless a person says so."""
    repeat: bool = False
    """A person wants this part sent although it may have been sent before."""
    labelled: bool = False
    """The part's body begins with the words that say so."""
    doubtful: bool = False
    """What was known of this reply is damaged: every part may have been sent."""


# From the outbox's actor to the PersistenceActor, all of them asks


class ListUndelivered(Plain):
    """Which sessions have replies that were not sent, the longest waiting first? Answered by `Undelivered`."""

    limit: int


class Undelivered(Plain):
    """Up to the limit, may name too many, never too few."""

    sessions: tuple[str, ...]
    counts: dict[str, int] = {}
    """State -> how many replies are set aside in it."""


class NextUndelivered(Plain):
    """The session's oldest reply that has to be sent and is on the disk. Answered by `NextReply`.

    Refused with code `corrupt` or `unavailable`.
    """

    session: str


class NextReply(Plain):
    """What has to be sent next."""

    session: str
    seq: int = 0
    """0: nothing."""
    text: str = ""
    delivery: Delivery | None = None
    """How far it has come; None: nothing was tried yet."""
    known_sids: tuple[str, ...] = ()
    """The carrier's names of what this number was sent lately."""


class RecordDelivery(Plain):
    """Write how far a reply has come. Answered by `DeliveryRecorded` when that is on the disk; may be asked twice.

    Refused with code `fenced`: a newer incarnation of the outbox's actor exists; `persistence_failed`: the disk does
    not take it, and nothing is changed.
    """

    delivery: Delivery
    incarnation: int


class DeliveryRecorded(Plain):
    """It is on the disk."""


# From operators to the supervisor, and from there to the PersistenceActor, all of them asks


class ListOutbox(Plain):
    """Replies that were not sent. Answered by `OutboxPage`, the longest waiting first."""

    states: tuple[DeliveryState, ...] = ()
    """Only these; empty: all."""
    offset: int = 0
    limit: int = 100


class OutboxPage(Plain):
    """A page of the outbox."""

    entries: tuple[Delivery, ...]
    total: int
    counts: dict[str, int]
    """State -> how many, of the whole outbox."""


class RetryOutbox(Plain):
    """Try replies again that were set aside. Answered by `OutboxDone`.

    A dead one is sent from the part on that was refused. Of an ambiguous one the carrier's list is asked again; if the
    part is not there, it is sent, labelled as one that may be a repetition. Refused with code `unknown`.
    """

    session: str = ""
    """Empty: of all sessions."""
    seq: int = 0
    """0: all of the session."""
    states: tuple[DeliveryState, ...] = ()
    """Only these; empty: all that are set aside."""


class PurgeOutbox(Plain):
    """Forget replies that were set aside; they stay in their conversations. Answered by `OutboxDone`.

    Refused with code `unknown`.
    """

    session: str = ""
    seq: int = 0
    states: tuple[DeliveryState, ...] = ()


class OutboxDone(Plain):
    """How many replies it concerned, and of which sessions."""

    count: int
    sessions: tuple[str, ...] = ()


class OutboxChanged(Plain):
    """supervisor -> the outbox's actor: these sessions have something to send."""

    sessions: tuple[str, ...]
