"""Owns what the interface answers where no message between actors says just that."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_actors.core.log_lines import LogLine
from openclaw_actors.core.timeline import TurnTimeline
from openclaw_actors.messages.admin import GatewayHealth, Status, StatusNode
from openclaw_actors.messages.base import Value

__all__ = [
    "CallerView",
    "ErrorBody",
    "ErrorView",
    "HealthView",
    "LogsView",
    "StatusView",
    "TimelineView",
    "VersionView",
    "health_view",
    "status_view",
]


class ErrorBody(Value, omit_defaults=True):
    """What is wrong."""

    code: str
    """For programs."""
    text: str
    """One sentence for a person."""
    field: str | None = None
    """The parameter or the field of the body that is meant."""


class ErrorView(Value):
    """Every error."""

    error: ErrorBody


class StatusView(StatusNode, kw_only=True):
    """The tree of actors; beside its root's fields those of the whole gateway."""

    counters: dict[str, float]
    healthy: bool
    problems: tuple[str, ...]
    uptime_seconds: float
    draining: bool


def status_view(status: Status) -> StatusView:
    """What `status --json` prints and `GET /api/status` answers."""
    fields: dict[str, Any] = msgspec.structs.asdict(status)
    root: StatusNode = fields.pop("root")
    return StatusView(**msgspec.structs.asdict(root), **fields)


class HealthView(Value):
    """How the gateway is."""

    healthy: bool
    """The supervisor answers."""
    ready: bool
    """Messages can be taken now."""
    problems: tuple[str, ...]
    uptime_seconds: float


def health_view(health: GatewayHealth) -> HealthView:
    """What `GET /api/health` answers."""
    return HealthView(
        healthy=health.live,
        ready=health.ready,
        problems=health.problems,
        uptime_seconds=health.uptime_seconds,
    )


class CallerView(Value):
    """Who asks."""

    principal: str
    """`default` of `auth_token`, `local` where no token is asked for."""
    owner: bool
    """It may see and do everything."""
    prefix: str
    """How the keys of its own conversations begin; what follows is the session's id."""


class TimelineView(Value):
    """How a conversation's newest turns went in time."""

    session: str
    turns: tuple[TurnTimeline, ...]
    """The newest first."""


class LogsView(Value):
    """What of the log is wanted."""

    lines: tuple[LogLine, ...]
    """In order, the newest last."""
    searched_bytes: int
    more: bool
    """There may be older ones: a limit was reached, of lines or of bytes (`http.log_tail_bytes`)."""


class VersionView(Value):
    """Which program this is."""

    name: str
    version: str
