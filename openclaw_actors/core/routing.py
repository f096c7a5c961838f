"""What the router knows of one session, and what it may want done about it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from openclaw_actors.core.refusals import refusal_of
from openclaw_actors.core.supervision import RestartLimits, RestartPolicy
from openclaw_actors.messages.base import Message
from openclaw_actors.messages.conversation import Deliver, SessionLost, StopOutcome, StopTurn
from openclaw_actors.messages.tree import SessionActivity

__all__ = [
    "HAS_PROCESS",
    "NEVER",
    "REACHABLE",
    "AnswerStop",
    "EndTurnsOf",
    "Entry",
    "Fork",
    "Kill",
    "MoveSession",
    "Phase",
    "PingSession",
    "RouterEffect",
    "RouterLimits",
    "SendToSession",
    "Tell",
    "forget",
    "least_recently_used",
    "outbox_of",
    "outcome_of",
    "refuse",
    "refuse_all",
    "tell_lost",
]

NEVER = float("inf")
_OUTBOXES = (("sms:", "sms"),)
"""Beginning of a session's key -> the service through which its replies leave."""


def outbox_of(session: str) -> str | None:
    """The service that sends this session's replies on, whether anybody else follows it or not; None: nobody does."""
    return next((service for start, service in _OUTBOXES if session.startswith(start)), None)


class Phase(Enum):
    """Where a session stands in its life."""

    ASLEEP = auto()
    """Passivated; somebody follows it still, or is asked whether a tool may run."""
    WAITING = auto()
    """For a place under `sessions.max_live`."""
    STARTING = auto()
    LIVE = auto()
    PASSIVATING = auto()
    """It was granted leave; what arrives waits for its next incarnation."""
    STOPPING = auto()
    """Killed; its exit has not been seen yet."""
    BACKING_OFF = auto()
    """Dead; its next incarnation starts at `restart_at`."""


HAS_PROCESS = frozenset({Phase.STARTING, Phase.LIVE, Phase.PASSIVATING, Phase.STOPPING})
REACHABLE = frozenset({Phase.STARTING, Phase.LIVE})
"""Control messages reach it. What people say waits until it is live: a death before that is no message's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterLimits:
    """Limits of the router, in seconds and counts, from the configuration."""

    max_live: int = 256
    max_pending: int = 32
    """Deliveries to one session without a receipt."""
    max_held: int = 1_024
    """Other messages that wait for one session's next incarnation; the oldest go first, channels ask again."""
    max_waiting: int = 1_024
    """Sessions that wait for a place."""
    max_asking: int = 1_024
    """Sessions that are asleep while people are asked; further ones keep their place."""
    max_recovering: int = 8
    """Sessions that start at the same time for nobody but what an earlier gateway has left undone."""
    max_starting: int = 24
    """Sessions that start at the same time: more would only keep each other, and who is ready, waiting."""
    slow_start_s: float = 2.0
    """Who takes longer to start holds up nobody else."""
    ping_timeout_s: float = 10.0
    idle_ping_s: float = 30.0
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 0.5
    restarts: RestartLimits = field(default_factory=RestartLimits)


@dataclass(slots=True)
class Entry:
    """What the router knows of one session."""

    key: str
    policy: RestartPolicy
    phase: Phase = Phase.WAITING
    since: float = 0.0
    """When it entered its phase."""
    created_at: float = 0.0
    incarnation: int = 0
    """0: not known yet."""
    pid: int | None = None
    active_at: float = 0.0
    """When a person last wrote."""
    unsettled: OrderedDict[str, Deliver] = field(default_factory=OrderedDict)
    held: deque[Message] = field(default_factory=deque)
    """What waits for the next incarnation besides deliveries."""
    followers: set[str] = field(default_factory=set)
    died_guilty: bool = False
    """Its last live incarnation died by its own doing, and no incarnation has taken that into account yet."""
    suspect: str = ""
    """The delivery that is to blame for it, should no turn have been running."""
    accused: str = ""
    """The delivery on which the session says that it crashes."""
    strikes: dict[str, int] = field(default_factory=dict)
    """How many deaths each unsettled delivery is to blame for."""
    recovering: bool = False
    stops: list[StopTurn] = field(default_factory=list)
    """Stops that are not confirmed yet."""
    stop_deadline: float = 0.0
    woken_to_hear: bool = False
    """It was started for what people say: no turn runs in it before it has heard that."""
    ending: bool = False
    """The end of its turns is being recorded in its place: it must not start meanwhile."""
    ended: int = 0
    """How many turns were ended so since it died."""
    moving: bool = False
    """Its conversation goes to the archive or comes back: it is sent nothing more, and must not start meanwhile."""
    wakes: bool = False
    """It has something to go on with, should its conversation stay."""
    wakes_at: float | None = None
    """Asleep, or about to be, while people are asked: it goes on then, whatever was decided. None: it asks nobody."""
    ends: bool = False
    """The connection that it belongs to was gone before it fell asleep."""
    asked_to_leave: bool = False
    stays_until: float = 0.0
    """It declined to leave and is not asked again before."""
    restart_at: float = 0.0
    kill_reason: str = ""
    death: str = ""
    """Why its process was or is to be replaced, in one word of `core.metrics.RESTART_REASONS`; empty: it is not."""
    last_death: str = ""
    """Why its process before this one ended, in words; empty: it left, or has had none."""
    leaves_for: str = "idle"
    """Why it was granted leave, in one word."""
    innocent: bool = False
    """It is killed for no fault of its own: it starts again at once."""
    blameless: bool = False
    """It ends because others fail it: it starts again with back-off, and no message is to blame."""
    was_live: bool = False
    """It had opened its conversation before it was killed."""
    fatal: tuple[str, str] | None = None
    """Code and text with which it could not open its conversation; starting it again would not help."""
    ping_sent_at: float | None = None
    pong_at: float = 0.0
    doing: str = "starting"
    mailbox_depth: int = 0
    activity: SessionActivity | None = None
    """What its process says that it does, while somebody follows the tree; None: it has not said."""

    @property
    def hears_first(self) -> bool:
        """A stop that comes now is about what was said before it, which its process has not been told yet."""
        return self.phase is Phase.STARTING and self.woken_to_hear and bool(self.unsettled)

    @property
    def outbox(self) -> str | None:
        """The service through which its replies leave: it follows the session always, and the channel need not."""
        return outbox_of(self.key)

    @property
    def audience(self) -> frozenset[str]:
        """Who hears its events."""
        return frozenset(self.followers if self.outbox is None else {*self.followers, self.outbox})

    def enter(self, phase: Phase, now: float) -> None:
        """Moves it to another phase."""
        self.phase = phase
        self.since = now


@dataclass(frozen=True, slots=True)
class Fork:
    """Create the session's process and send it `InitSession`."""

    key: str
    deaths: int
    """1: its last live incarnation died by its own doing."""
    followers: frozenset[str]
    why: str = "message"
    """`message`, `recovery` or `restart`; for the metrics."""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL the session's process."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class PingSession:
    """Ask it for a sign of life and report `ponged`."""

    key: str


@dataclass(frozen=True, slots=True)
class SendToSession:
    """Send to the session's process."""

    key: str
    message: Message


@dataclass(frozen=True, slots=True)
class Tell:
    """Send to a channel, by its name."""

    channel: str
    message: Message


@dataclass(frozen=True, slots=True)
class AnswerStop:
    """Tell whoever asked for the stop."""

    outcome: StopOutcome


@dataclass(frozen=True, slots=True)
class EndTurnsOf:
    """Have the end of the session's turns recorded, as it has no process; then report `turns_ended`."""

    key: str
    queue: bool
    """Also the turns that wait."""


@dataclass(frozen=True, slots=True)
class MoveSession:
    """Have the conversation moved, as it has no process; then report `Moves.moved`."""

    key: str


RouterEffect: TypeAlias = (
    Fork | Kill | PingSession | SendToSession | Tell | AnswerStop | EndTurnsOf | MoveSession
)


def forget(entry: Entry, delivery_id: str) -> None:
    """A delivery was accepted or refused."""
    entry.unsettled.pop(delivery_id, None)
    entry.strikes.pop(delivery_id, None)


def least_recently_used(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Those that can be asked to leave, the one first to whom nobody has said anything for the longest time."""
    found = [
        entry
        for entry in entries
        if entry.phase is Phase.LIVE
        and not entry.asked_to_leave
        and not entry.unsettled
        and entry.stays_until <= now
    ]
    return sorted(found, key=lambda entry: entry.active_at)


def tell_lost(entry: Entry, incarnation: int, reason: str) -> list[RouterEffect]:
    """Tells those who follow a session that its process is gone: they ask the next one for what they missed."""
    lost = SessionLost(session=entry.key, incarnation=incarnation, reason=reason)
    return [Tell(channel, lost) for channel in sorted(entry.followers)]


def refuse(message: Deliver, code: str, text: str = "") -> Tell:
    """Tells its channel that a delivery was not taken."""
    return Tell(message.channel, refusal_of(message, code, text))


def refuse_all(entry: Entry, code: str, text: str = "") -> list[RouterEffect]:
    """Refuses all that waits for a session."""
    effects: list[RouterEffect] = [refuse(message, code, text) for message in entry.unsettled.values()]
    entry.unsettled.clear()
    entry.strikes.clear()
    return effects


def outcome_of(request: StopTurn, stopped: int) -> StopOutcome:
    """What became of a stop."""
    return StopOutcome(
        session=request.session, stopped=stopped, channel=request.channel, connection=request.connection
    )
