"""The records of a conversation's journal: what a session has written, and the store keeps.

A record is the truth about something that happened. `number` rises by one from 1 with every record of a session;
`seq` numbers those that clients see. Both stand in the record itself, so no crash can use one twice or skip one.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Value
from openclaw_actors.messages.events import TurnStatus, Usage
from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.model import ToolCall

__all__ = [
    "ApprovalAsked",
    "ApprovalDecided",
    "AssistantSpoke",
    "HistoryCompacted",
    "HistoryRestored",
    "IncarnationOpened",
    "MessagesAbsorbed",
    "NumbersSkipped",
    "Record",
    "SettingsChanged",
    "SubAgentCalled",
    "ToolFinished",
    "ToolStarted",
    "TurnBegan",
    "TurnEnded",
    "UserSaid",
]


class _Record(Value, tag_field="kind", omit_defaults=True):
    number: int
    at: float
    """Unix time, seconds; for people and retention, never for order."""

    def __str__(self) -> str:
        return type(self).__name__


class IncarnationOpened(_Record, tag="opened"):
    """A process took the conversation over; appends with an older token are refused from here on."""

    token: int


class UserSaid(_Record, tag="user"):
    """A person's message was accepted: the receipt is due, and an answer."""

    seq: int
    message_id: str
    text: str
    queued: int
    delivery_id: str
    channel: str
    correlation_id: str
    reply_to: str | None = None
    bound_to: str | None = None
    """The channel's instance, where the session is one connection's own."""
    command: bool = False
    """It is for the gateway: no turn of the model's answers it, and no later prompt shows it."""
    busy: str = ""
    """What becomes of it, as it came while a turn ran: `collect`, `interrupt` or `steer`; else it waits its turn."""


class TurnBegan(_Record, tag="turn_began"):
    """An attempt to answer the message runs."""

    seq: int
    turn_id: str
    message_id: str
    attempt: int
    deaths: int = 0
    """How often the session died by its own doing in this turn without a new record in between."""


class AssistantSpoke(_Record, tag="assistant"):
    """The model's answer asked for tools: what it said, and what it asked for."""

    turn_id: str
    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage


class ToolStarted(_Record, tag="tool_started"):
    """A tool is about to run; without its `ToolFinished` its outcome is unknown."""

    seq: int
    turn_id: str
    call_id: str
    name: str
    arguments: str


class ToolFinished(_Record, tag="tool_finished"):
    """A tool ended, or was found interrupted after a crash."""

    seq: int
    turn_id: str
    call_id: str
    name: str
    status: str
    text: str


class ApprovalAsked(_Record, tag="approval_asked"):
    """A tool waits for a person's decision; it has not started."""

    seq: int
    turn_id: str
    approval_id: str
    call_id: str
    name: str
    arguments: str
    expires_at: float
    """Unix time, seconds: then it is denied."""


class ApprovalDecided(_Record, tag="approval_decided"):
    """The one decision about a tool that waited; what follows from it stands in the same commit."""

    turn_id: str
    approval_id: str
    call_id: str
    decision: Literal["approved", "denied", "expired", "ended"]
    by: str = ""
    """Where it came from: a channel's name, `operator`, or `clock`."""


class SubAgentCalled(_Record, tag="sub_agent"):
    """A sub-agent's model call was answered, or failed: its tokens are the turn's."""

    turn_id: str
    call_id: str
    """Of the tool by which it works, and which of its calls it was."""
    usage: Usage


class TurnEnded(_Record, tag="turn_ended"):
    """The one end of a message's turn."""

    seq: int
    turn_id: str
    message_id: str
    status: TurnStatus
    text: str
    usage: Usage
    code: str | None = None
    waited_seconds: float | None = None
    """How much of the turn the model and tools took; None: not known, for a part of it was lost with its process."""
    model: str = ""
    """Who answered last, where the conversation had chosen none; empty: nobody did, or it had."""


class MessagesAbsorbed(_Record, tag="absorbed"):
    """Messages that waited are answered together with another one, and have no turn of their own.

    `into` is the message that takes them in: one that waited, too, whose turn begins now, or the one that runs.
    """

    into: str
    message_ids: tuple[str, ...]
    """In the order in which they came."""


class SettingsChanged(_Record, tag="settings"):
    """A person wants something otherwise in this conversation."""

    values: dict[str, str | None]
    """None: as the configuration says."""


class HistoryRestored(_Record, tag="restored"):
    """The model is given a branch's history from here on; what was said and done stays recorded."""

    branch: str
    window: tuple[HistoryTurn, ...]


class HistoryCompacted(_Record, tag="compacted"):
    """The model is given a summary in the place of older turns from here on; they stay recorded.

    It changes nothing but the token count where the history is another one by now, or where there is no text.
    """

    text: str
    up_to: int
    """The newest turn that it is a summary of, by the conversation's count of ended turns."""
    turns: int
    """How many it is a summary of."""
    since: int
    """The number of the record that last restored another history; 0: none has."""
    usage: Usage


class NumbersSkipped(_Record, tag="skipped"):
    """The next event's number follows this one: those up to it were given to another conversation of the same key."""

    to_seq: int


Record: TypeAlias = (
    IncarnationOpened
    | UserSaid
    | TurnBegan
    | AssistantSpoke
    | ToolStarted
    | ToolFinished
    | SubAgentCalled
    | ApprovalAsked
    | ApprovalDecided
    | TurnEnded
    | MessagesAbsorbed
    | SettingsChanged
    | HistoryRestored
    | HistoryCompacted
    | NumbersSkipped
)
