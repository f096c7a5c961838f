"""Owns the answers of Anthropic's Messages API: what its events, or its one document, add up to.

Reads leniently: unknown events, blocks and fields are read over, as its documentation asks. Pure: bytes in, text out.
"""

from __future__ import annotations

__all__ = ["MessageParts", "read_messages_error"]

from dataclasses import dataclass, field
from typing import Any

import msgspec

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import Complete, FinishReason
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

_FINISH_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}

_TOO_LONG = ("prompt is too long", "exceed context limit")
_NO_CREDIT = "credit balance is too low"


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct):
    text: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct):
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Event(_Message):
    """An event of a stream; or, without a stream, the message itself."""

    type: str = ""
    index: int | None = None
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    error: Any = None


_events = msgspec.json.Decoder(_Event, strict=False)
_usages = msgspec.json.Decoder(_Usage | None, strict=False)


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str
    whole: str = ""
    """Its arguments, where they came with its beginning."""
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces) or self.whole


class MessageParts:
    """Adds up the events of one message.

    Args:
        max_tool_calls: more of them are garbage.
    """

    def __init__(self, *, max_tool_calls: int = 128) -> None:
        self.error: ErrorBody | None = None
        self.begun = False
        self.ended = False
        self.stop_reason = ""
        """The provider's word for why the answer has come to its end; empty: it has not, or did not say why."""
        self._max_tool_calls = max_tool_calls
        self._texts: list[str] = []
        self._calls: list[_Call] = []
        self._by_index: dict[int | None, _Call] = {}
        self._usage = _Usage()

    @property
    def finish_reason(self) -> str:
        """See `AnswerParts.finish_reason`."""
        return _FINISH_REASONS.get(self.stop_reason, "stop") if self.stop_reason else ""

    def add(self, data: bytes) -> str:
        """See `AnswerParts.add`."""
        try:
            event = _events.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Garbage(f"not an event of an answer: {type(error).__name__}, {len(data)} bytes") from None
        if event.type == "error" or event.error:
            self.error = _refined(error_of(event.error))
            return ""
        text = self._take(event)
        if text:
            self._texts.append(text)
        return text

    def _take(self, event: _Event) -> str:
        match event.type:
            case "message_start" if event.message is not None:
                return self._take_message(event.message)
            case "message":
                self.ended = True
                return self._take_message(event)
            case "content_block_start" if event.content_block is not None:
                return self._begin_block(event.index, event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._add_to_block(event.index, event.delta)
            case "message_delta":
                self._count(event.usage)
                if event.delta is not None:
                    self.stop_reason = event.delta.stop_reason or self.stop_reason
            case "message_stop":
                self.ended = True
        return ""

    def _take_message(self, message: _Message) -> str:
        self.begun = True
        self.stop_reason = message.stop_reason or self.stop_reason
        self._count(message.usage)
        return "".join(self._begin_block(None, block) for block in message.content or ())

    def _begin_block(self, index: int | None, block: _Block) -> str:
        self.begun = True
        if block.type != "tool_use":
            # What the provider's own tools do stands in blocks of other kinds; their input is not for us either.
            self._by_index.pop(index, None)
            return (block.text or "") if block.type == "text" else ""
        if len(self._calls) >= self._max_tool_calls:
            raise TooManyCalls(f"over {self._max_tool_calls} tool calls")
        whole = bytes(block.input).decode(errors="replace")
        call = _Call(block.id or "", block.name or "", "" if whole == "null" else whole)
        self._calls.append(call)
        self._by_index[index] = call
        return ""

    def _add_to_block(self, index: int | None, delta: _Delta) -> str:
        self.begun = True
        call = self._by_index.get(index)
        if call is not None and delta.partial_json:
            call.pieces.append(delta.partial_json)
        return delta.text or ""

    def _count(self, data: msgspec.Raw) -> None:
        """Take a count of tokens; it is of all so far, and a strange one is no reason to lose an answer."""
        try:
            usage = _usages.decode(data) if bytes(data) else None
        except (msgspec.MsgspecError, RecursionError):
            return
        for name in _Usage.__struct_fields__:
            number = getattr(usage, name, None)
            if number is not None:
                setattr(self._usage, name, max(0, number))

    def answer(self, request: Complete) -> Answer:
        """See `AnswerParts.answer`."""
        text = "".join(self._texts)
        calls = named_calls(request, ((call.call_id, call.name, call.arguments) for call in self._calls))
        usage = self._usage
        written, read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
        estimate = estimate_usage(request, text, calls)
        return Answer(
            text=text,
            tool_calls=calls,
            usage=Usage(
                # What the cache gave or took is input, too, and no part of `input_tokens`.
                input_tokens=estimate.input_tokens
                if usage.input_tokens is None
                else usage.input_tokens + written + read,
                output_tokens=estimate.output_tokens if usage.output_tokens is None else usage.output_tokens,
            ),
            finish_reason=_FINISH_REASONS.get(self.stop_reason, "stop"),
            cache_read_tokens=read,
            cache_write_tokens=written,
        )


def read_messages_error(body: bytes) -> ErrorBody:
    """What the body of a refusal says, with the reasons that the provider tells by their text alone."""
    return _refined(read_error(body))


def _refined(error: ErrorBody) -> ErrorBody:
    """Name what Anthropic calls `invalid_request_error` whatever it is."""
    message = error.message.lower()
    if any(words in message for words in _TOO_LONG):
        return msgspec.structs.replace(error, reason="context_length_exceeded")
    if _NO_CREDIT in message:
        return msgspec.structs.replace(error, reason="insufficient_quota")
    return error
