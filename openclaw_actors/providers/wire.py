"""Owns the OpenAI chat format: what a request looks like, and what the pieces of an answer add up to.

Reads leniently: unknown fields are ignored, missing ones have a meaning. Pure: bytes in, text and values out.
"""

from __future__ import annotations

__all__ = [
    "AnswerBuilder",
    "LengthKey",
    "RequestShape",
]

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import msgspec

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, FinishReason, Sampling, ToolCall
from openclaw_actors.providers.base import Answer
from openclaw_actors.providers.formats import (
    ErrorBody,
    Garbage,
    TooManyCalls,
    error_of,
    estimate_usage,
    named_calls,
    read_error,
)

LengthKey: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
_NEWER_KEY: LengthKey = "max_completion_tokens"
_OTHER_KEY: dict[LengthKey, LengthKey] = {"max_tokens": _NEWER_KEY, _NEWER_KEY: "max_tokens"}

_PASSED_ON = (
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "reasoning_effort",
    "response_format",
)
_FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestShape:
    """How this provider wants its requests: servers and models differ in what they refuse.

    Args:
        model: the model that is asked for where the request names none.
        max_tokens: the longest answer.
        length_key: the name of the limit on output tokens.
        temperature: None: send none.
        usage_wanted: ask for a usage chunk at the end of a stream.
    """

    model: str
    max_tokens: int
    temperature: float | None
    length_key: LengthKey = "max_tokens"
    usage_wanted: bool = True

    def encode(self, request: Complete) -> bytes:
        """See `RequestFormat.encode`."""
        wanted = request.sampling or Sampling()
        body: dict[str, Any] = {
            "model": request.model or self.model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            self.length_key: min(self.max_tokens, wanted.max_tokens or self.max_tokens),
            **{name: value for name in _PASSED_ON if (value := getattr(wanted, name)) is not None},
        }
        if self.usage_wanted:
            body["stream_options"] = {"include_usage": True}
        if self.temperature is not None:
            body["temperature"] = self.temperature if wanted.temperature is None else wanted.temperature
        if wanted.stop:
            body["stop"] = wanted.stop
        if request.tools:
            body["tools"] = [{"type": "function", "function": msgspec.to_builtins(t)} for t in request.tools]
        return msgspec.json.encode(body)

    def without_refused(self, error: ErrorBody, sent: RequestShape) -> RequestShape | None:
        """See `RequestFormat.without_refused`."""
        refused = f"{error.parameter} {error.message}".lower()
        if "stream_options" in refused and sent.usage_wanted:
            return replace(self, usage_wanted=False)
        # Only a refusal of the name mentions the newer one: as what to use instead, or as what is not known.
        if _NEWER_KEY in refused:
            return replace(self, length_key=_OTHER_KEY[sent.length_key])
        if "temperature" in (error.parameter or refused) and sent.temperature is not None:
            return replace(self, temperature=None)
        return None

    def read_error(self, body: bytes) -> ErrorBody:
        """See `RequestFormat.read_error`."""
        return read_error(body)

    def begin_answer(self) -> AnswerBuilder:
        """See `RequestFormat.begin_answer`."""
        return AnswerBuilder()


def _message(message: ChatMessage) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id or "", "content": message.text}
    body: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        # An empty text beside tool calls is refused by some servers, null by none.
        body["content"] = message.text or None
        body["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return body


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolPiece(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Text(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolPiece] | None = None


class _Choice(msgspec.Struct):
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: Any = None


_chunks = msgspec.json.Decoder(_Chunk, strict=False)
_usages = msgspec.json.Decoder(_Usage | None, strict=False)


def _usage_of(data: msgspec.Raw) -> _Usage | None:
    """The count of tokens; a strange one is no reason to lose an answer."""
    try:
        return _usages.decode(data) if bytes(data) else None
    except (msgspec.MsgspecError, RecursionError):
        return None


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class AnswerBuilder:
    """Adds up the chunks of one answer, streamed or whole.

    Args:
        max_tool_calls: an answer with more of them is given up.
    """

    def __init__(self, *, max_tool_calls: int = 128) -> None:
        self.error: ErrorBody | None = None
        """The provider reported a failure in the middle of its answer."""
        self.begun = False
        """A part of an answer has come, be it an empty one."""
        self.ended = False
        """Whatever stands behind its last chunk says so: see `[DONE]` in `AnswerReader`."""
        self.finish_reason = ""
        """Why the answer has come to its end, though its usage may follow; empty: it has not, or did not say why."""
        self._max_tool_calls = max_tool_calls
        self._texts: list[str] = []
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._usage: _Usage | None = None

    def add(self, data: bytes) -> str:
        """Take one chunk and return the text that it adds.

        Raises:
            Garbage: it is no such chunk.
        """
        try:
            chunk = _chunks.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Garbage(f"not a chunk of an answer: {type(error).__name__}, {len(data)} bytes") from None
        if chunk.error:
            self.error = error_of(chunk.error)
            return ""
        self._usage = _usage_of(chunk.usage) or self._usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish_reason = choice.finish_reason or self.finish_reason
        piece = choice.delta or choice.message
        self.begun = self.begun or piece is not None or bool(choice.finish_reason)
        if piece is None:
            return ""
        for tool_piece in piece.tool_calls or ():
            self._add_tool_piece(tool_piece)
        text = piece.content or piece.refusal or ""
        if text:
            self._texts.append(text)
        return text

    def _add_tool_piece(self, piece: _ToolPiece) -> None:
        call = self._by_index.get(piece.index) if piece.index is not None else None
        if call is None and piece.index is None and not piece.id and self._calls:
            call = self._calls[-1]
        # Some servers number every call 0 and tell them apart by their ids alone.
        if call is None or (piece.id and call.call_id and piece.id != call.call_id):
            if len(self._calls) >= self._max_tool_calls:
                raise TooManyCalls(f"over {self._max_tool_calls} tool calls")
            call = _Call(call_id=piece.id or "")
            self._calls.append(call)
            if piece.index is not None:
                self._by_index[piece.index] = call
        call.call_id = call.call_id or piece.id or ""
        if piece.function is None:
            return
        call.name = call.name or piece.function.name or ""
        arguments = piece.function.arguments
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if arguments:
            call.arguments.append(arguments)

    def answer(self, request: Complete) -> Answer:
        """All of it.

        Raises:
            Garbage: a tool call has no name.
        """
        text = "".join(self._texts)
        calls = named_calls(
            request, ((call.call_id, call.name, "".join(call.arguments)) for call in self._calls)
        )
        return Answer(
            text=text,
            tool_calls=calls,
            usage=self._count(request, text, calls),
            finish_reason=_FINISH_REASONS.get(self.finish_reason, "stop"),
        )

    def _count(self, request: Complete, text: str, calls: tuple[ToolCall, ...]) -> Usage:
        usage = self._usage or _Usage()
        input_tokens, output_tokens = usage.prompt_tokens, usage.completion_tokens
        estimate = estimate_usage(request, text, calls)
        return Usage(
            input_tokens=estimate.input_tokens if input_tokens is None else max(0, input_tokens),
            output_tokens=estimate.output_tokens if output_tokens is None else max(0, output_tokens),
        )
