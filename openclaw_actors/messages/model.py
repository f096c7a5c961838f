"""Between sessions and the ModelActor: a completion, streamed."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Plain, Value
from openclaw_actors.messages.events import Usage

__all__ = [
    "CallFailed",
    "CancelCall",
    "ChatMessage",
    "Complete",
    "Completed",
    "ModelDelta",
    "Role",
    "ToolCall",
    "ToolSpec",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class ToolCall(Value, omit_defaults=True):
    """The model asks for a tool."""

    call_id: str
    name: str
    arguments: str
    """JSON text, as the model gave it: it may be anything."""


class ToolSpec(Value):
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: dict[str, object]
    """JSON Schema."""


class ChatMessage(Value, omit_defaults=True):
    """One entry of the history that the model is given."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant entry."""
    call_id: str | None = None
    """Of a tool entry: the call that it answers."""
    name: str | None = None


class Complete(Plain):
    """session -> model: one completion. Answered by `ModelDelta`s and then `Completed` or `CallFailed`."""

    call_id: str
    """Unique; answers carry it, and those of a call that is no longer wanted are ignored."""
    session: str
    correlation_id: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    model: str | None = None
    """None: the configured one."""


class CancelCall(Plain):
    """session -> model: the answer is no longer wanted; the provider's connection is closed at once."""

    call_id: str


class ModelDelta(Plain):
    """model -> session: a piece of the answer, as it arrives."""

    call_id: str
    text: str
    """May be empty: the call still runs, and the model's actor looks whether its asker still lives."""


class Completed(Plain):
    """model -> session: the whole answer."""

    call_id: str
    text: str
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    model_seconds: float = 0.0
    """Time that the provider took, retries and waiting for a place included."""


class CallFailed(Plain):
    """model -> session: there will be no answer to this call."""

    call_id: str
    code: str
    """`provider`, `timeout`, `circuit_open`, `overloaded`, `configuration`, `stream_broken`."""
    text: str
    """One line for the person who asked; no key, no provider body."""
    streamed: bool
    """Deltas were sent: what they said is void."""
    usage: Usage
    """An estimate for what was streamed, else nothing."""
    model_seconds: float
