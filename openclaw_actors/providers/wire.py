"""Owns the OpenAI chat format: what a request looks like, and what the pieces of an answer add up to.

Reads leniently: unknown fields are ignored, missing ones have a meaning. Pure: bytes in, text and values out.
"""

from __future__ import annotations

__all__ = ["AnswerBuilder", "ErrorBody", "Garbage", "RequestShape", "estimate_usage", "read_error"]

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, ToolCall
from openclaw_actors.providers.base import Answer

_CHARS_A_TOKEN = 4


class Garbage(ValueError):
    """Raised when what came is no answer in this format."""


class ErrorBody(msgspec.Struct, frozen=True):
    """What a provider says about a failure; all of it may be empty, and none of it is for the user."""

    reason: str = ""
    message: str = ""
    parameter: str = ""


@dataclass(slots=True)
class RequestShape:
    """How this provider wants its requests. It learns: servers and models differ in what they refuse.

    Args:
        length_key: the name of the limit on output tokens.
        temperature: None: send none.
        usage_wanted: ask for a usage chunk at the end of a stream.
    """

    model: str
    max_tokens: int
    temperature: float | None
    length_key: str = "max_tokens"
    usage_wanted: bool = True

    def encode(self, request: Complete) -> bytes:
        """The body of a request."""
        body: dict[str, Any] = {
            "model": request.model or self.model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            self.length_key: self.max_tokens,
        }
        if self.usage_wanted:
            body["stream_options"] = {"include_usage": True}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if request.tools:
            body["tools"] = [{"type": "function", "function": msgspec.to_builtins(t)} for t in request.tools]
        return msgspec.json.encode(body)

    def learn(self, error: ErrorBody) -> bool:
        """Change what the provider just refused; False: it refused nothing that can be changed."""
        refused = f"{error.parameter} {error.message}".lower()
        if "stream_options" in refused and self.usage_wanted:
            self.usage_wanted = False
            return True
        if "max_completion_tokens" in error.message and self.length_key == "max_tokens":
            self.length_key = "max_completion_tokens"
            return True
        if error.parameter == "max_completion_tokens" and self.length_key == "max_completion_tokens":
            self.length_key = "max_tokens"
            return True
        if error.parameter == "temperature" and self.temperature is not None:
            self.temperature = None
            return True
        return False


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


def read_error(body: bytes) -> ErrorBody:
    """What an error body says: `{"error": {…}}`, `{"error": "…"}`, `[{"error": …}]`, or nothing that we know."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ErrorBody()
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    return _error_of(error)


def _error_of(error: object) -> ErrorBody:
    if isinstance(error, str):
        return ErrorBody(message=error)
    if not isinstance(error, dict):
        return ErrorBody()
    reason = error.get("code") or error.get("type") or ""
    return ErrorBody(
        reason=str(reason), message=str(error.get("message") or ""), parameter=str(error.get("param") or "")
    )


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
    usage: _Usage | None = None
    error: Any = None


_chunks = msgspec.json.Decoder(_Chunk, strict=False)


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class AnswerBuilder:
    """Adds up the chunks of one answer, streamed or whole.

    Args:
        max_tool_calls: more of them are garbage.
    """

    def __init__(self, *, max_tool_calls: int = 128) -> None:
        self.error: ErrorBody | None = None
        """The provider reported a failure in the middle of its answer."""
        self.finished = False
        """The answer has come to its end, though its usage may follow."""
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
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Garbage(f"not a chunk of an answer: {type(error).__name__}, {len(data)} bytes") from None
        if chunk.error:
            self.error = _error_of(chunk.error)
            return ""
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        if choice.finish_reason:
            self.finished = True
        piece = choice.delta or choice.message
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
                raise Garbage(f"over {self._max_tool_calls} tool calls")
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
        calls = tuple(
            ToolCall(
                call_id=call.call_id or f"{request.call_id}.{number}",
                name=call.name,
                arguments="".join(call.arguments) or "{}",
            )
            for number, call in enumerate(self._calls)
        )
        if not all(call.name for call in calls):
            raise Garbage("a tool call without a name")
        return Answer(text=text, tool_calls=calls, usage=self._count(request, text, calls))

    def _count(self, request: Complete, text: str, calls: tuple[ToolCall, ...]) -> Usage:
        usage = self._usage or _Usage()
        input_tokens, output_tokens = usage.prompt_tokens, usage.completion_tokens
        estimate = estimate_usage(request, len(text) + sum(_call_length(call) for call in calls))
        return Usage(
            input_tokens=estimate.input_tokens if input_tokens is None else max(0, input_tokens),
            output_tokens=estimate.output_tokens if output_tokens is None else max(0, output_tokens),
        )


def estimate_usage(request: Complete, output_chars: int) -> Usage:
    """What a call used, where the provider does not say: a token for each four characters, rounded up."""
    return Usage(
        input_tokens=math.ceil(sum(_length(message) for message in request.messages) / _CHARS_A_TOKEN),
        output_tokens=math.ceil(output_chars / _CHARS_A_TOKEN),
    )


def _length(message: ChatMessage) -> int:
    return len(message.text) + sum(_call_length(call) for call in message.tool_calls)


def _call_length(call: ToolCall) -> int:
    return len(call.name) + len(call.arguments)
