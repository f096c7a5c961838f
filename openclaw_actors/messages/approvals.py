"""Decisions about tools that wait for a person: from channels and operators to the session, and back."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Plain, Value

__all__ = [
    "ApprovalList",
    "ApprovalOutcome",
    "ApprovalStatus",
    "ApprovalsWaiting",
    "DecideApproval",
    "GetApprovals",
    "WaitingApproval",
]

ApprovalStatus: TypeAlias = Literal["decided", "already", "unknown"]


class DecideApproval(Plain):
    """Let a tool run, or not (channel -> router -> session; operator -> supervisor -> router, an ask).

    Answered by `ApprovalOutcome`. It may be sent again: the first decision stands.
    """

    approval_id: str
    approved: bool
    session: str = ""
    """Empty: an operator names only the approval, and the router finds its session."""
    by: str = ""
    """Where it comes from: a channel's name, or `operator`."""
    channel: str | None = None
    connection: str | None = None


class ApprovalOutcome(Plain):
    """session -> asker and router: what became of a decision, after it is durable."""

    session: str
    approval_id: str
    status: ApprovalStatus
    """`already`: it was decided before, or its time or turn is over."""
    text: str
    """One line for the person who decided."""
    channel: str | None = None
    connection: str | None = None


class WaitingApproval(Value):
    """A tool that waits for a person's decision."""

    session: str
    approval_id: str
    name: str
    arguments: str
    """JSON text, as the model gave it; cut where it is very long."""
    asked_at: float
    """Unix time, seconds."""
    expires_at: float


class ApprovalsWaiting(Plain):
    """session -> router: all that wait in this session now."""

    session: str
    incarnation: int
    waiting: tuple[WaitingApproval, ...]


class GetApprovals(Plain):
    """operator -> supervisor -> router: all tools that wait for a decision. Answered by `ApprovalList`."""


class ApprovalList(Plain):
    """All that wait, the longest first."""

    waiting: tuple[WaitingApproval, ...]
