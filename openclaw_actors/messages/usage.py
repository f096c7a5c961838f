"""What was used: from those who call models to the PersistenceActor's ledger, and back."""

from __future__ import annotations

from openclaw_actors.messages.base import Plain
from openclaw_actors.messages.events import Usage

__all__ = ["DayUsage", "GetDayUsage", "UsageNoted"]


class GetDayUsage(Plain):
    """What was used today? Answered by `DayUsage`."""

    principal: str | None = None
    """Of one; None: of all."""


class DayUsage(Plain):
    """The tokens of the newest day that the ledger knows, in UTC."""

    day: int
    """From 1970."""
    total: int
    principals: dict[str, int]


class UsageNoted(Plain):
    """model -> persistence: a call that belongs to no session was made. No answer."""

    caller: str
    """`http:<principal>`."""
    model: str
    usage: Usage
    seconds: float
    status: str
    at: float
    """Unix time, seconds."""
