"""What the client of one session sends and shows. `conversation` decides it, whoever owns a screen carries it out."""

from __future__ import annotations

__all__ = [
    "AnswerBegan",
    "AnswerRestarted",
    "AnswerText",
    "ApprovalAsked",
    "Effect",
    "Event",
    "Frame",
    "MessageTaken",
    "Noticed",
    "Refused",
    "Seen",
    "ToolBegan",
    "ToolEnded",
    "TurnEnded",
]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Send this object to the gateway."""

    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An event that was not seen before, as it came."""

    event: Event


@dataclass(frozen=True, kw_only=True)
class MessageTaken:
    """A message stands in the journal."""

    message_id: str
    text: str
    queued: int
    mine: bool


@dataclass(frozen=True, kw_only=True)
class AnswerBegan:
    """The turn of a message of ours begins that had waited behind others."""

    text: str


@dataclass(frozen=True, kw_only=True)
class AnswerText:
    """The running answer goes on with this text."""

    text: str
    mine: bool


@dataclass(frozen=True, kw_only=True)
class AnswerRestarted:
    """What was shown of the running answer is void."""

    mine: bool


@dataclass(frozen=True, kw_only=True)
class ToolBegan:
    call_id: str
    name: str
    arguments: str
    mine: bool


@dataclass(frozen=True, kw_only=True)
class ToolEnded:
    call_id: str
    name: str
    status: str
    text: str
    mine: bool


@dataclass(frozen=True, kw_only=True)
class ApprovalAsked:
    approval_id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class TurnEnded:
    """A turn is over. `rest` completes what was shown, unless `replaces`: then it is the whole answer."""

    message_id: str
    status: str
    rest: str
    replaces: bool
    text: str
    code: str | None
    mine: bool


@dataclass(frozen=True, kw_only=True)
class Noticed:
    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The gateway says no; with `message_id`, that message of ours was not taken, and `again`: it may be sent again."""

    code: str
    text: str
    message_id: str | None
    again: bool = False


Effect: TypeAlias = (
    Frame
    | Seen
    | MessageTaken
    | AnswerBegan
    | AnswerText
    | AnswerRestarted
    | ToolBegan
    | ToolEnded
    | ApprovalAsked
    | TurnEnded
    | Noticed
    | Refused
)
