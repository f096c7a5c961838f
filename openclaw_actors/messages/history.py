"""Owns what ended turns look like to later ones: the window that the model is given."""

from __future__ import annotations

import msgspec

from openclaw_actors.messages.events import TurnStatus
from openclaw_actors.messages.model import ToolCall

__all__ = ["HistoryTurn", "Step", "ToolOutcome"]


class ToolOutcome(msgspec.Struct):
    """How a tool ended."""

    status: str
    text: str


class Step(msgspec.Struct):
    """One model answer that asked for tools, with what came of them so far."""

    text: str
    calls: tuple[ToolCall, ...]
    started: set[str] = msgspec.field(default_factory=set)
    outcomes: dict[str, ToolOutcome] = msgspec.field(default_factory=dict)
    said: list[str] = msgspec.field(default_factory=list)
    """What the person has added while the tools ran."""


class HistoryTurn(msgspec.Struct, omit_defaults=True):
    """An ended turn as later turns see it, or a summary of older ones, which stands before them."""

    user: str
    steps: list[Step]
    answer: str
    """Of a summary: its text."""
    status: TurnStatus
    stands_for: int = 0
    """How many turns this is a summary of; 0: it is a turn itself."""
