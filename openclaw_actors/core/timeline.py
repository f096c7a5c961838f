"""Decides how a conversation's turns went in time, as far as its records tell.

A record carries the moment at which it was made, just before it was written. So a model call is the time between the
record that made it due and the one that came of it; how long a write took stands nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from openclaw_actors.core.records import (
    ApprovalAsked,
    ApprovalDecided,
    AssistantSpoke,
    IncarnationOpened,
    MessagesAbsorbed,
    Record,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
    turn_id_of,
)
from openclaw_actors.messages.base import Value
from openclaw_actors.messages.events import Usage

__all__ = ["TimelineStep", "TurnTimeline", "timeline"]

StepKind: TypeAlias = Literal[
    "accepted", "queued", "started", "model", "approval", "tool", "process", "answered"
]


class TimelineStep(Value):
    """Something that happened in a turn, or went on for a while."""

    kind: StepKind
    """`process`: another incarnation of the session took over; `started`: an attempt began."""
    at: float
    """When it began; Unix time, seconds."""
    seconds: float | None = None
    """How long it went on; null: it is a moment, or not over."""
    name: str = ""
    """The tool, or which attempt."""
    status: str = ""
    """How it ended, where that is known."""


class TurnTimeline(Value):
    """The way of one message to its answer. Seconds that are null are not known, or not over."""

    message_id: str
    turn_id: str
    correlation_id: str
    """What marks its lines in the log."""
    channel: str
    status: str
    """`queued`, `running`, `waiting` for a person, `absorbed` into another message's turn, or how it ended."""
    accepted_at: float | None
    began_at: float | None
    ended_at: float | None
    attempts: int
    queued_seconds: float | None
    """From the receipt until the first attempt began."""
    turn_seconds: float | None
    """From the beginning of the first attempt to the end."""
    model_seconds: float
    tool_seconds: float
    """Of tools that ran beside each other it is the sum."""
    approval_seconds: float
    """How long a person was waited for."""
    overhead_seconds: float | None
    """The gateway's own part; null also where a part of the turn was lost with its process."""
    usage: Usage
    steps: tuple[TimelineStep, ...]
    """In the order in which they began."""


@dataclass(slots=True)
class _Turn:
    message_id: str
    correlation_id: str = ""
    channel: str = ""
    status: str = "queued"
    accepted_at: float | None = None
    began_at: float | None = None
    ended_at: float | None = None
    attempts: int = 0
    waited_s: float | None = None
    usage: Usage = field(default_factory=Usage)
    steps: list[TimelineStep] = field(default_factory=list)
    model_since: float | None = None
    """Since when the model is due; None: it is not."""
    calls: set[str] = field(default_factory=set)
    """Tools that were asked for and have not ended."""
    tools: dict[str, tuple[str, float]] = field(default_factory=dict)
    asked: dict[str, tuple[str, float]] = field(default_factory=dict)

    def model_ends(self, at: float, status: str = "") -> None:
        if self.model_since is not None:
            self._add("model", self.model_since, at, status=status)
            self.model_since = None

    def tool_ends(self, call_id: str, name: str, at: float, status: str) -> None:
        known = self.tools.pop(call_id, None)
        self._add("tool", known[1] if known is not None else at, at, name=name, status=status)
        self.calls.discard(call_id)
        if not self.calls and self.ended_at is None:
            self.model_since = at

    def approval_ends(self, call_id: str, at: float, status: str) -> None:
        known = self.asked.pop(call_id, None)
        if known is not None:
            self._add("approval", known[1], at, name=known[0], status=status)
        if not self.asked and self.status == "waiting":
            self.status = "running"

    def _add(self, kind: StepKind, since: float, at: float, *, name: str = "", status: str = "") -> None:
        seconds = round(max(0.0, at - since), 6)
        self.steps.append(TimelineStep(kind=kind, at=since, seconds=seconds, name=name, status=status))

    def total(self, kind: str) -> float:
        return round(sum(step.seconds or 0.0 for step in self.steps if step.kind == kind), 6)

    def unfinished(self) -> Iterable[TimelineStep]:
        """What goes on still."""
        if self.ended_at is not None:
            return
        for name, since in self.asked.values():
            yield TimelineStep(kind="approval", at=since, name=name)
        for name, since in self.tools.values():
            yield TimelineStep(kind="tool", at=since, name=name)
        if self.model_since is not None:
            yield TimelineStep(kind="model", at=self.model_since)


def timeline(records: Iterable[Record], *, last: int) -> tuple[TurnTimeline, ...]:
    """The newest turns, the newest first.

    Args:
        records: of one conversation in order; those at its beginning may be missing, and turns that they tell of.
        last: how many turns at most.
    """
    turns: dict[str, _Turn] = {}
    by_turn: dict[str, _Turn] = {}
    for record in records:
        match record:
            case UserSaid():
                _accept(turns, by_turn, record)
            case MessagesAbsorbed():
                for message_id in record.message_ids:
                    if message_id in turns:
                        turns[message_id].status = "absorbed"
            case IncarnationOpened():
                for turn in turns.values():
                    if turn.began_at is not None and turn.ended_at is None:
                        turn.steps.append(
                            TimelineStep(kind="process", at=record.at, name=f"incarnation {record.token}")
                        )
            case _:
                turn_id = getattr(record, "turn_id", None)
                if turn_id in by_turn:
                    _go_on(by_turn[turn_id], record)
    newest = list(turns.values())[-last:]
    return tuple(_told(turn) for turn in reversed(newest))


def _accept(turns: dict[str, _Turn], by_turn: dict[str, _Turn], record: UserSaid) -> None:
    turn = _Turn(
        message_id=record.message_id,
        correlation_id=record.correlation_id,
        channel=record.channel,
        accepted_at=record.at,
    )
    turn.steps.append(TimelineStep(kind="accepted", at=record.at))
    turns[record.message_id] = by_turn[turn_id_of(record.message_id)] = turn


def _go_on(turn: _Turn, record: Record) -> None:
    match record:
        case TurnBegan():
            turn.model_ends(record.at, "interrupted")
            if turn.began_at is None:
                turn.began_at = record.at
                if turn.accepted_at is not None and record.at - turn.accepted_at > 0:
                    turn._add("queued", turn.accepted_at, record.at)
            turn.attempts, turn.status = record.attempt, "running"
            turn.steps.append(TimelineStep(kind="started", at=record.at, name=f"attempt {record.attempt}"))
            turn.model_since = None if turn.calls else record.at
        case AssistantSpoke():
            turn.model_ends(record.at, "tools")
            turn.calls |= {call.call_id for call in record.tool_calls}
        case ApprovalAsked():
            turn.asked[record.call_id] = (record.name, record.at)
            turn.status = "waiting"
        case ApprovalDecided():
            turn.approval_ends(record.call_id, record.at, record.decision)
        case ToolStarted():
            turn.tools[record.call_id] = (record.name, record.at)
        case ToolFinished():
            turn.tool_ends(record.call_id, record.name, record.at, record.status)
        case TurnEnded():
            turn.model_ends(record.at, record.status)
            turn.ended_at, turn.status, turn.usage = record.at, record.status, record.usage
            turn.waited_s = record.waited_seconds
            turn.steps.append(TimelineStep(kind="answered", at=record.at, status=record.status))


def _told(turn: _Turn) -> TurnTimeline:
    turn_s = (
        turn.ended_at - turn.began_at if turn.ended_at is not None and turn.began_at is not None else None
    )
    queued = turn.total("queued") if turn.began_at is not None and turn.accepted_at is not None else None
    approvals = turn.total("approval")
    overhead = None
    if turn_s is not None and turn.waited_s is not None:
        overhead = round(max(0.0, turn_s - turn.waited_s - approvals), 6)
    steps = [*turn.steps, *turn.unfinished()]
    return TurnTimeline(
        message_id=turn.message_id,
        turn_id=turn_id_of(turn.message_id),
        correlation_id=turn.correlation_id,
        channel=turn.channel,
        status=turn.status,
        accepted_at=turn.accepted_at,
        began_at=turn.began_at,
        ended_at=turn.ended_at,
        attempts=turn.attempts,
        queued_seconds=queued,
        turn_seconds=None if turn_s is None else round(max(0.0, turn_s), 6),
        model_seconds=turn.total("model"),
        tool_seconds=turn.total("tool"),
        approval_seconds=approvals,
        overhead_seconds=overhead,
        usage=turn.usage,
        steps=tuple(sorted(steps, key=lambda step: step.at)),
    )
