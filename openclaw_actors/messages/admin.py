"""From operators (command line, HTTP API) to the supervisor, all of them asks."""

from __future__ import annotations

from openclaw_actors.messages.base import Message, Value
from openclaw_actors.messages.events import DurableEvent
from openclaw_actors.messages.persistence import SessionSummary

__all__ = [
    "Children",
    "Done",
    "GatewayHealth",
    "GetChildren",
    "GetHealth",
    "GetSessions",
    "GetStatus",
    "RestartActor",
    "RestartSession",
    "SessionDetail",
    "SessionList",
    "ShowSession",
    "Shutdown",
    "Status",
    "StatusNode",
    "StopSession",
]


class StatusNode(Value):
    """One actor in the tree that `status` prints."""

    name: str
    kind: str
    """`supervisor`, `service` or `session`."""
    state: str
    """`starting`, `running`, `stopping`, `passivating`, `restarting`, `failed`."""
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
    root: StatusNode
    counters: dict[str, float]
    healthy: bool
    problems: tuple[str, ...]
    uptime_seconds: float
    draining: bool


class GetChildren(Message):
    """supervisor -> router: your sessions, as nodes of the tree. Answered by `Children`."""


class Children(Message):
    nodes: tuple[StatusNode, ...]
    counters: dict[str, float]


class GetHealth(Message):
    """Answered by `GatewayHealth`, from what the supervisor knows, without waiting for anybody."""


class GatewayHealth(Message):
    live: bool
    ready: bool
    problems: tuple[str, ...]
    uptime_seconds: float


class Shutdown(Message):
    """Drain and end. Answered by `Done` at once; the end of the processes is what the asker waits for."""

    grace_s: float | None = None


class RestartActor(Message):
    """Restart one actor by its name in the tree, a session's key included. Answered by `Done`."""

    name: str


class GetSessions(Message):
    """Live and stored sessions. Answered by `SessionList`."""

    offset: int = 0
    limit: int = 100
    contains: str = ""


class SessionList(Message):
    sessions: tuple[SessionSummary, ...]
    total: int


class ShowSession(Message):
    """Answered by `SessionDetail`; refused with code `unknown`."""

    session: str
    last: int = 50


class SessionDetail(Message):
    summary: SessionSummary
    live: StatusNode | None
    events: tuple[DurableEvent, ...]


class StopSession(Message):
    """End the running turn. Answered by `Done` with what was stopped."""

    session: str
    queue: bool = False


class RestartSession(Message):
    """Kill the session's process; its next incarnation continues. Answered by `Done`."""

    session: str


class Done(Message):
    text: str = ""
    """One line for a person."""
