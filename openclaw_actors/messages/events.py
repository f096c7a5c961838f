"""What a session tells its followers: durable events, numbered for ever, and passing ones.

Encoded with `msgspec` these are the bodies of the `openclaw.v2` protocol, `sessionId` added by the channel.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Value

__all__ = [
    "AssistantChunk",
    "DurableEvent",
    "ErrorEvent",
    "Event",
    "MessageAccepted",
    "Notice",
    "ToolApprovalRequired",
    "ToolResult",
    "ToolStart",
    "TurnDone",
    "TurnStarted",
    "TurnStatus",
    "Usage",
]

TurnStatus: TypeAlias = Literal["completed", "stopped", "failed", "interrupted"]


class _Event(Value, rename="camel", tag_field="type", omit_defaults=True):
    def __str__(self) -> str:
        return type(self).__name__


class Usage(Value, rename="camel"):
    """Tokens of one turn."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.input_tokens + self.output_tokens


class MessageAccepted(_Event, tag="message_accepted"):
    """The user's message stands in the journal."""

    seq: int
    message_id: str
    text: str
    queued: int
    """How many messages stand before it."""
    duplicate: bool = False
    busy: str = ""
    """What becomes of it, as a turn runs: `collect`, `interrupt` or `steer`; empty: it waits for its turn."""


class TurnStarted(_Event, tag="turn_started"):
    """The turn that answers a message runs; a higher attempt voids what earlier ones streamed."""

    seq: int
    turn_id: str
    message_id: str
    attempt: int


class ToolStart(_Event, tag="tool_start"):
    """A tool is about to run."""

    seq: int
    turn_id: str
    call_id: str
    name: str
    arguments: str
    """JSON text, as the model gave it."""


class ToolResult(_Event, tag="tool_result"):
    """A tool has ended."""

    seq: int
    turn_id: str
    call_id: str
    name: str
    status: str
    """`ok`, `error`, `denied`, `timeout` or `interrupted`."""
    text: str


class ToolApprovalRequired(_Event, tag="tool_approval_required"):
    """A tool waits for a person's decision."""

    seq: int
    turn_id: str
    approval_id: str
    call_id: str
    name: str
    arguments: str


class TurnDone(_Event, tag="turn_done"):
    """The turn has ended; exactly one for each accepted message. `text` is authoritative."""

    seq: int
    turn_id: str
    message_id: str
    status: TurnStatus
    text: str
    usage: Usage
    code: str | None = None
    """Why it failed, for programs: an error code of the protocol, or `provider`, `timeout`, …"""


class AssistantChunk(_Event, tag="assistant_chunk"):
    """A piece of the running attempt's text."""

    turn_id: str
    attempt: int
    offset: int
    """In code points, from the start of the attempt."""
    text: str


class Notice(_Event, tag="notice"):
    """Something that the person at the other end should know."""

    code: str
    text: str


class ErrorEvent(_Event, tag="error"):
    """Something was refused; with a `message_id`, that message was not taken."""

    code: str
    text: str
    message_id: str | None = None


DurableEvent: TypeAlias = (
    MessageAccepted | TurnStarted | ToolStart | ToolResult | ToolApprovalRequired | TurnDone
)
Event: TypeAlias = DurableEvent | AssistantChunk | Notice | ErrorEvent
