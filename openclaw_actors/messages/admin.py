"""From operators (command line, HTTP API) to the supervisor, all of them asks."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.archive import ArchiveSummary
from openclaw_actors.messages.base import Message, Plain, Value
from openclaw_actors.messages.events import DurableEvent
from openclaw_actors.messages.persistence import SessionOrder, SessionSummary

__all__ = [
    "Children",
    "DeleteSession",
    "Done",
    "DrainGateway",
    "GatewayHealth",
    "GetChildren",
    "GetEvents",
    "GetHealth",
    "GetMetrics",
    "GetSessions",
    "GetStatus",
    "Metrics",
    "RestartActor",
    "RestartSession",
    "RestoreSession",
    "SessionDeleted",
    "SessionDetail",
    "SessionFilter",
    "SessionList",
    "SessionRestored",
    "ShowSession",
    "Shutdown",
    "Status",
    "StatusNode",
    "StopActor",
    "StopSession",
]

SessionFilter: TypeAlias = Literal["any", "live", "stored", "quarantined"]
"""Which conversations: `live` ones have a process, `stored` ones none."""


class StatusNode(Value):
    """One actor in the tree that `status` prints."""

    name: str
    kind: str
    """`supervisor`, `service` or `session`."""
    state: str
    """`starting`, `running`, `stopping`, `stopped`, `passivating`, `moving`, `restarting`, `failed`."""
    pid: int | None
    incarnation: int
    restarts: int
    mailbox_depth: int
    age_seconds: float
    rss_bytes: int
    doing: str
    children: tuple[StatusNode, ...] = ()


class GetStatus(Message):
    """The actor tree. Answered by `Status`."""


class Status(Message):
    """The whole tree, with what the gateway has counted."""

    root: StatusNode
    counters: dict[str, float]
    """The metrics, histograms' buckets left out: series, without prefix, to value."""
    healthy: bool
    problems: tuple[str, ...]
    uptime_seconds: float
    draining: bool


class GetChildren(Message):
    """supervisor -> router: your sessions, as nodes of the tree. Answered by `Children`."""


class Children(Message):
    """The nodes of the sessions, as their router knows them."""

    nodes: tuple[StatusNode, ...]


class GetMetrics(Plain):
    """The numbers of the whole gateway (an ask). Answered by `Metrics`, without asking any session."""


class Metrics(Plain):
    """Every series that there is, each bucket of a histogram counted alone."""

    values: dict[str, float]
    """Series, as `core.series` writes it, to value."""


class GetHealth(Message):
    """Answered by `GatewayHealth`, from what the supervisor knows, without waiting for anybody."""


class GatewayHealth(Message):
    """Whether the gateway lives, and takes messages."""

    live: bool
    ready: bool
    problems: tuple[str, ...]
    uptime_seconds: float


class Shutdown(Message):
    """Drain and end. Answered by `Done` at once; the end of the processes is what the asker waits for."""

    grace_s: float | None = None


class DrainGateway(Plain):
    """Refuse new messages and go on with what was accepted, until `Shutdown` or until it is cancelled.

    Answered by `Done` with the code `draining` or `serving`; refused with code `draining` if the gateway is ending.
    """

    cancel: bool = False


class RestartActor(Message):
    """Restart one actor by its name in the tree, a session's key included. Answered by `Done`.

    Refused with code `unknown`. A channel that was stopped serves again.
    """

    name: str


class StopActor(Plain):
    """End one actor by its name in the tree. Answered by `Done`.

    A channel stays stopped until it is restarted by its name, or everything is; a session leaves memory and comes back
    with its next message. Refused with code `unknown`; `busy` if the session has a turn to finish; `not_possible` for
    an actor that the others cannot do without.
    """

    name: str


class GetSessions(Message):
    """Live and stored sessions, the last active first. Answered by `SessionList`."""

    offset: int = 0
    limit: int = 100
    contains: str = ""
    prefix: str = ""
    """Only keys that begin with this."""
    state: SessionFilter = "any"
    order: SessionOrder = "active"
    reverse: bool = False
    """The other way round."""


class SessionList(Message):
    """A page of sessions."""

    sessions: tuple[SessionSummary, ...]
    total: int


class ShowSession(Message):
    """Answered by `SessionDetail`; refused with code `unknown`."""

    session: str
    last: int = 50


class SessionDetail(Message):
    """A session, live or stored, with its newest events."""

    summary: SessionSummary
    live: StatusNode | None
    events: tuple[DurableEvent, ...]


class GetEvents(Plain):
    """A page of a conversation's durable events. Answered by `EventsPage`; refused with code `unknown`."""

    session: str
    after_seq: int = 0
    max_events: int = 100


class StopSession(Message):
    """End the running turn. Answered by `Done` with the code `stopped` or `nothing_to_stop`; refused with `unknown`."""

    session: str
    queue: bool = False


class RestartSession(Message):
    """Kill the session's process; its next incarnation continues.

    Answered by `Done` with the code `restarted`, or `asleep` if it has no process; refused with `unknown`.
    """

    session: str


class DeleteSession(Plain):
    """Move a conversation to the archive (supervisor -> router, too). Answered by `SessionDeleted`.

    What runs in it is stopped, its process ends, what waits in it unanswered ends as `stopped`. Messages without a
    receipt go to the conversation that begins anew under the key. Refused with code `unknown`, `busy` while it is being
    deleted or restored already, and as `ArchiveSession`.
    """

    session: str
    purge: bool = False
    """Remove it from the archive again, for good."""


class SessionDeleted(Plain):
    """The conversation is in the archive, or gone for good."""

    session: str
    archives: tuple[ArchiveSummary, ...]
    """More than one if files had been set aside under its key."""
    purged: bool = False


class RestoreSession(Plain):
    """Give a key its archived conversation back (supervisor -> router, too). Answered by `SessionRestored`.

    Refused with code `unknown`; `exists` if the key has another conversation by now; `busy`; `corrupt`.
    """

    name: str
    """An archive, or the key: its newest archive."""
    replace: bool = False
    """Archive the other conversation."""
    session: str = ""
    """To the router: whose archive it is."""


class SessionRestored(Plain):
    """The archive is the conversation again."""

    session: str
    archive: str
    replaced: tuple[ArchiveSummary, ...] = ()
    """Where the conversation is that was there meanwhile."""


class Done(Message):
    """What was asked for is done."""

    text: str = ""
    """One line for a person."""
    code: str = "done"
    """For programs."""
