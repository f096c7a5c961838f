"""Between those who want a completion and the ModelActor, which streams it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Plain, Value
from openclaw_actors.messages.events import Usage

__all__ = [
    "CallFailed",
    "CallPurpose",
    "CancelCall",
    "ChatMessage",
    "Complete",
    "Completed",
    "FinishReason",
    "ModelDelta",
    "ProbeProvider",
    "ProbeResult",
    "ProviderProbed",
    "Role",
    "Sampling",
    "ToolCall",
    "ToolSpec",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
CallPurpose: TypeAlias = Literal["answer", "summary"]
"""What a completion is for: an answer to a person, or a summary of what was said, for later answers."""
FinishReason: TypeAlias = Literal["stop", "length", "content_filter"]

ProbeResult: TypeAlias = Literal[
    "demo",
    "ok",
    "unlisted",
    "unchecked",
    "key",
    "forbidden",
    "credit",
    "busy",
    "failing",
    "foreign",
    "moved",
    "http",
    "proxy",
    "tls",
    "tcp",
    "dns",
    "timeout",
    "address",
]
"""How far a probe of the provider came: `ok`; `unlisted`: it does not list the configured model; `unchecked`: it lists
no models, so nothing is known of the key; or what stopped it."""


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


class Sampling(Value, omit_defaults=True):
    """What one request wants otherwise than the configuration says; None: as the configuration says."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Never more than `llm.max_tokens`."""
    stop: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, object] | None = None
    """As the client wrote it."""


class Complete(Plain):
    """session or http -> model: one completion. Answered by `ModelDelta`s and then `Completed` or `CallFailed`."""

    call_id: str
    """Unique; answers carry it, and those of a call that is no longer wanted are ignored."""
    session: str
    correlation_id: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    model: str | None = None
    """By its name in `llm.models`, or its own where any will do; None: the configured one, or who stands in for it."""
    turn: str = ""
    """The turn that it is a call of: all of them are answered by one model; empty: it stands alone."""
    sampling: Sampling | None = None
    purpose: CallPurpose = "answer"


class CancelCall(Plain):
    """asker -> model: the answer is no longer wanted; the provider's connection is closed at once."""

    call_id: str


class ModelDelta(Plain):
    """model -> asker: a piece of the answer, as it arrives."""

    call_id: str
    text: str
    """May be empty: the call still runs, and the model's actor looks whether its asker still lives."""


class Completed(Plain):
    """model -> asker: the whole answer."""

    call_id: str
    text: str
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    model_seconds: float = 0.0
    """Time that the provider took, retries and waiting for a place included."""
    finish_reason: FinishReason = "stop"
    """Why the answer ends where it does."""
    model: str = ""
    """Who answered, by the name that the configuration has for it."""


class CallFailed(Plain):
    """model -> asker: there will be no answer to this call."""

    call_id: str
    code: str
    """`provider`, `timeout`, `circuit_open`, `overloaded`, `configuration`, `stream_broken`, `unknown_model`."""
    text: str
    """One line for the person who asked; no key, no provider body."""
    streamed: bool
    """Deltas were sent: what they said is void."""
    usage: Usage
    """An estimate for what was streamed, else nothing."""
    model_seconds: float
    model: str = ""
    """Whose failure it is; empty: nobody's."""


class ProbeProvider(Plain):
    """operator -> supervisor -> model: is the provider there, and does it take the key? (an ask)

    Answered by `ProviderProbed`. Costs nothing at the provider. Refused with code `busy` while another probe runs.
    """

    timeout_s: float
    """For all of it."""


class ProviderProbed(Plain):
    """What came of it; holds no key and nothing that the provider said."""

    result: ProbeResult
    provider: str
    """`llm.provider`."""
    model: str
    where: str = ""
    """Host and port that were called, or the proxy's."""
    detail: str = ""
    """What the operating system, TLS or HTTP said; one line."""
    status: int = 0
    """Of the HTTP answer; 0: there was none."""
    seconds: float = 0.0
    clock_ahead_s: float | None = None
    """By how much the clock here is ahead of the one that the provider's answer shows; None: it shows none."""
    certificate_ends: float | None = None
    """Unix time at which its certificate ends; None where there is none, or it was not seen."""
