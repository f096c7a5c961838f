"""What a session's core wants done. The actor carries it out; the core never learns how."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from openclaw_actors.core.commands import Command
from openclaw_actors.core.records import Record
from openclaw_actors.messages.base import Message
from openclaw_actors.messages.conversation import Deliver
from openclaw_actors.messages.events import Event, MessageAccepted
from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.model import CallFailed, Completed, ModelDelta, ToolCall

__all__ = [
    "ApprovalsChanged",
    "CallModel",
    "CallTool",
    "CancelModel",
    "CancelTools",
    "Effect",
    "FindOutcome",
    "NotRun",
    "Publish",
    "RunCommand",
    "StartTurnClock",
    "SummariseHistory",
    "TakeUp",
    "TellChannel",
    "TellRouter",
    "TryAgainLater",
    "WriteRecords",
]


class WriteRecords(msgspec.Struct, frozen=True):
    """Write these and report back; nothing else is written meanwhile."""

    records: tuple[Record, ...]
    when_exhausted: Literal["drop", "keep"]


class TryAgainLater(msgspec.Struct, frozen=True):
    """The store refused what must be written: report `try_again` in a while."""


class Publish(msgspec.Struct, frozen=True):
    """Tell every follower."""

    events: tuple[Event, ...]


class TellChannel(msgspec.Struct, frozen=True):
    """Send a message to one channel, by its name."""

    channel: str
    message: Message


class TellRouter(msgspec.Struct, frozen=True):
    """Send a message to the router."""

    message: Message


class CallModel(msgspec.Struct, frozen=True):
    """Ask for a completion of the conversation as it stands now, for one of its turns.

    Args:
        question: of a turn that is not part of the conversation yet; it begins with this call.
    """

    call_id: str
    correlation_id: str
    turn_id: str
    question: str | None = None


class TakeUp(msgspec.Struct, frozen=True):
    """Handle what the model has said, in this order."""

    heard: tuple[ModelDelta | Completed | CallFailed, ...]


class CancelModel(msgspec.Struct, frozen=True):
    """The completion is no longer wanted."""

    call_id: str


class SummariseHistory(msgspec.Struct, frozen=True):
    """Ask for a summary of these turns, beside whatever runs; its answer, or its failure, is a model call's."""

    call_id: str
    correlation_id: str
    turns: tuple[HistoryTurn, ...]


class CallTool(msgspec.Struct, frozen=True):
    """Run a tool and report back."""

    turn_id: str
    call: ToolCall


class CancelTools(msgspec.Struct, frozen=True):
    """End the turn's tools, with all that they started."""

    turn_id: str


class NotRun(msgspec.Struct, frozen=True):
    """A tool that the model asked for ended without having run, or nobody knows how it ran: for the audit."""

    turn_id: str
    call: ToolCall
    status: str
    text: str


class ApprovalsChanged(msgspec.Struct, frozen=True):
    """Other tools wait for a person than before: look at their deadlines, and hold the turn's clock while any does."""


class RunCommand(msgspec.Struct, frozen=True):
    """Do what a person told the gateway, and report `command_done`; it may be asked again after a crash."""

    message_id: str
    command: Command


class StartTurnClock(msgspec.Struct, frozen=True):
    """Report back if this turn still runs at its deadline."""

    turn_id: str


class FindOutcome(msgspec.Struct, frozen=True):
    """Answer a repeated message whose turn has ended: its end stands in the journal under this number."""

    deliver: Deliver
    receipt: MessageAccepted
    ended_seq: int


Effect: TypeAlias = (
    WriteRecords
    | TryAgainLater
    | Publish
    | TellChannel
    | TellRouter
    | CallModel
    | CancelModel
    | TakeUp
    | SummariseHistory
    | CallTool
    | CancelTools
    | NotRun
    | ApprovalsChanged
    | RunCommand
    | StartTurnClock
    | FindOutcome
)
