"""What the outbox knows of one number, what may happen to it, and what it may want done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from openclaw_actors.core.backoff import Backoff
from openclaw_actors.messages.outbox import Delivery, NextReply

__all__ = [
    "Absent",
    "AskContact",
    "Cancelled",
    "ContactKnown",
    "Cut",
    "Drained",
    "Due",
    "Effect",
    "Event",
    "Failed",
    "Found",
    "Lane",
    "Look",
    "Looked",
    "NotTaken",
    "OptOut",
    "OutboxLimits",
    "Phase",
    "Post",
    "Posted",
    "ReadNext",
    "Record",
    "Recorded",
    "Refused",
    "ReplyRead",
    "Taken",
    "Tick",
    "Unclear",
    "Unfound",
    "Unknown",
]

Cut: TypeAlias = Callable[[str, int, int], int]
"""(text, start, longest) -> where the part that begins at `start` ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """Limits of the outbox, in seconds and counts.

    Args:
        concurrent: numbers that are served at the same time.
        lanes: numbers that are known at the same time; of the others the store tells again when it is asked again.
        part_chars: of one message.
        max_parts: of one reply; what is longer is cut off.
        backoff_s, backoff_max_s: between attempts, doubling.
        retry_for_s: after that a reply that was surely not taken is a dead letter.
        grace_s: for so long the carrier's list may not show yet what the carrier took.
        look_for_s: after that, what the carrier's list does not answer is ambiguous.
        resend_ambiguous: send again, labelled, what may have been sent, if the list does not show it.
    """

    concurrent: int = 16
    lanes: int = 10_000
    part_chars: int = 1_600
    max_parts: int = 10
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0
    retry_for_s: float = 14_400.0
    grace_s: float = 60.0
    look_for_s: float = 14_400.0
    resend_ambiguous: bool = False


class Phase(Enum):
    """What a number waits for."""

    READY = auto()
    """A place among those that are served."""
    READING = auto()
    ASKING = auto()
    """Whether the person said STOP."""
    RECORDING = auto()
    POSTING = auto()
    LOOKING = auto()
    WAITING = auto()
    """For `wake_at`."""


ACTIVE = frozenset({Phase.READING, Phase.ASKING, Phase.RECORDING, Phase.POSTING, Phase.LOOKING})


@dataclass(slots=True)
class Lane:
    """One number: its replies leave one after the other."""

    session: str
    backoff: Backoff
    phase: Phase = Phase.READY
    then: Phase = Phase.READING
    """What comes after `READY` and `WAITING`."""
    wake_at: float = 0.0
    more: bool = False
    """Something became due while it was read."""
    reply: NextReply | None = None
    delivery: Delivery | None = None
    recording: Delivery | None = None
    deadline: float = 0.0
    """After that a reply that was surely not taken is a dead letter."""
    look_began: float = 0.0
    looks: int = 0
    answered: bool = False
    """The carrier itself said that the request failed."""
    trouble: str = ""
    """Why it waits."""
    looked: bool = field(default=False)
    """The carrier's list was asked for the part that is next."""


# What happens


@dataclass(frozen=True, slots=True)
class Due:
    """These sessions have something to send; there may be others."""

    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplyRead:
    """What the session has to send next, `age_s` after it was first tried."""

    reply: NextReply
    age_s: float


@dataclass(frozen=True, slots=True)
class ContactKnown:
    """What is known of the person; not `certain`: damage leaves it open."""

    session: str
    do_not_text: bool
    certain: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step is on the disk, with its times."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Failed:
    """Reading, asking or recording failed for now."""

    session: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What was to be recorded is not to be sent any more: its conversation was deleted."""

    session: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The carrier took the part."""

    sid: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The carrier surely did not take the part, and may later.

    Args:
        everybody: it is not this part's or this number's fault.
    """

    reason: str
    code: int | None = None
    retry_after_s: float | None = None
    everybody: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier will never take the part."""

    reason: str
    code: int | None = None
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The carrier may have taken the part.

    Args:
        answered: it said itself that the request failed.
    """

    reason: str
    answered: bool = False


Outcome: TypeAlias = Taken | NotTaken | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Posted:
    """An attempt ended."""

    session: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Found:
    """The list shows the part."""

    sid: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The list does not show the part, nor anything that might be it."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """The list shows something else to this number that nobody here knows of."""


@dataclass(frozen=True, slots=True)
class Unfound:
    """The list cannot be had; `final`: that will stay so."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """The carrier's list was asked."""

    session: str
    result: Found | Absent | Unclear | Unfound


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Begin nothing more."""


Event: TypeAlias = (
    Due | ReplyRead | ContactKnown | Cancelled | Recorded | Failed | Posted | Looked | Tick | Drained
)


# What is wanted


@dataclass(frozen=True, slots=True)
class ReadNext:
    """Report `ReplyRead`, or `Failed`."""

    session: str


@dataclass(frozen=True, slots=True)
class AskContact:
    """Report `ContactKnown`, or `Failed`."""

    session: str


@dataclass(frozen=True, slots=True)
class Record:
    """Write this step, with its times filled in, and report `Recorded`, or `Failed`."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Post:
    """Hand the part to the carrier and report `Posted`."""

    session: str
    body: str


@dataclass(frozen=True, slots=True)
class Look:
    """Look for any of these bodies in the carrier's list and report `Looked`.

    Args:
        since: Unix time of the first attempt.
        known_sids: what is known to be something else.
    """

    session: str
    bodies: tuple[str, ...]
    since: float
    known_sids: frozenset[str]


@dataclass(frozen=True, slots=True)
class OptOut:
    """The carrier knows that this person said STOP: so shall we."""

    session: str


Effect: TypeAlias = ReadNext | AskContact | Record | Post | Look | OptOut
