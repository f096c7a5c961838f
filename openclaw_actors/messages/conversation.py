"""Between channels, the router and sessions: deliveries, receipts, events, replay, stop, passivation."""

from __future__ import annotations

from openclaw_actors.messages.base import Plain
from openclaw_actors.messages.events import AssistantChunk, DurableEvent, Event, MessageAccepted, TurnDone

__all__ = [
    "Accepted",
    "Deliver",
    "EndSession",
    "Followers",
    "Passivate",
    "PassivationAsked",
    "PassivationDeclined",
    "PassivationGranted",
    "Refused",
    "Replay",
    "ReplayPage",
    "SessionEvents",
    "SessionGivesUp",
    "SessionLost",
    "Settled",
    "StopOutcome",
    "StopTurn",
    "Unfollow",
]


class Deliver(Plain):
    """A person's message on its way to its session: channel -> router -> session.

    The channel holds it until `Accepted` or `Refused` comes, and delivers it again to the router's next incarnation.
    """

    session: str
    """The session's key, `websocket:<principal>:<sessionId>` or `sms:<number>`."""
    delivery_id: str
    """Unique per hand-over; the same when the same hand-over is repeated after a crash of ours."""
    message_id: str
    """The client's idempotency key, or one that the channel made."""
    text: str
    channel: str
    """Name of the channel's service, to which receipts and events go."""
    received_at: float
    """Monotonic seconds, which all processes of a machine have in common, whoever sets its clock."""
    correlation_id: str
    reply_to: str | None = None
    bound_to: str | None = None
    """The channel's instance, where the session is one connection's own and ends with it."""
    truncated: bool = False
    patient: bool = False
    """Its sender cannot try again: it may wait behind more than `sessions.max_pending` others."""


class Accepted(Plain):
    """session -> channel: the message stands in the journal; the channel lets go of it."""

    session: str
    delivery_id: str
    message_id: str
    duplicate: MessageAccepted | None = None
    """Set when the message was known already: the original receipt, for the asking connection only."""
    turn_done: TurnDone | None = None
    """Of a duplicate whose turn has ended: that end, with its original number."""


class Refused(Plain):
    """session or router -> channel: the message was not taken."""

    session: str
    delivery_id: str
    message_id: str
    code: str
    """`busy`, `rate_limited`, `budget`, `draining`, `persistence_failed`, `message_id_conflict`, `quarantined`, …"""
    text: str


class Settled(Plain):
    """session -> router: these deliveries are accepted or refused; the router forgets them."""

    session: str
    incarnation: int
    delivery_ids: tuple[str, ...]
    recorded: bool = True
    """A record was written: the message is accepted."""


class SessionGivesUp(Plain):
    """session -> router: I exit, because the store refuses what I write; no message is to blame for this end.

    My next incarnation opens the conversation anew.
    """

    session: str
    incarnation: int
    reason: str
    """One line, no user text."""


class SessionEvents(Plain):
    """session -> each following channel: what happened, in order."""

    session: str
    incarnation: int
    events: tuple[Event, ...]


class Unfollow(Plain):
    """channel -> router -> session: nobody on this channel follows the session any more."""

    session: str
    channel: str


class Followers(Plain):
    """router -> session: the channels that want its events."""

    channels: frozenset[str]


class EndSession(Plain):
    """channel -> router -> session: the connection that this session was bound to is gone.

    A running turn goes on to its end; then the session leaves memory.
    """

    session: str


class Replay(Plain):
    """channel -> router -> session: give me the durable events after a number. Answered by `ReplayPage`."""

    session: str
    channel: str
    connection: str
    after_seq: int | None
    """None: nothing of the past, only the running attempt and what comes from now on."""


class ReplayPage(Plain):
    """session -> channel: a page of durable events, in order.

    Events that the session publishes after a complete page come after it on the same link, and none is in both:
    so a connection that drops live events while it waits for its pages misses nothing and sees nothing twice.
    """

    session: str
    incarnation: int
    connection: str
    after_seq: int | None
    events: tuple[DurableEvent, ...]
    complete: bool
    """False: ask again after the last event's number."""
    running: AssistantChunk | None = None
    """On a complete page: all of the running attempt's text so far."""
    last_seq: int = 0
    """On a complete page: the number of the session's newest durable event."""


class SessionLost(Plain):
    """router -> each following channel: an incarnation died; the next one is being started.

    A channel asks for a replay for each connection that follows the session.
    """

    session: str
    incarnation: int
    reason: str
    """One line for a person, no user text."""


class StopTurn(Plain):
    """End the running turn (channel -> router -> session, or an ask); with `queue` also the waiting ones."""

    session: str
    queue: bool = False
    channel: str | None = None
    connection: str | None = None


class StopOutcome(Plain):
    """session or router -> asker and router: what was stopped, after it is durable."""

    session: str
    stopped: int
    """How many turns were ended; 0: there was nothing to stop."""
    channel: str | None = None
    connection: str | None = None


class Passivate(Plain):
    """router -> session: leave memory if you are idle (beyond `sessions.max_live`, or at drain)."""


class PassivationAsked(Plain):
    """session -> router: I am idle, or wait for people, and would leave; send me nothing if nothing is on its way."""

    session: str
    incarnation: int
    reason: str = "idle"
    """`idle` or `connection_closed`; for the metrics."""
    decided_within_s: float | None = None
    """Of one that waits for nothing but people's decisions: after so many seconds it has to go on without them."""


class PassivationGranted(Plain):
    """router -> session: what arrives from now on waits for your next incarnation. Write your snapshot and exit."""


class PassivationDeclined(Plain):
    """session -> router: I am not idle; router -> session: something is on its way to you."""

    session: str
    incarnation: int
