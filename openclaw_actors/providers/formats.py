"""Owns what every wire format has to be able to do, whichever provider speaks it, and what all of them share."""

from __future__ import annotations

__all__ = [
    "AnswerParts",
    "ErrorBody",
    "Garbage",
    "RequestFormat",
    "TooManyCalls",
    "error_of",
    "estimate_usage",
    "named_calls",
    "read_error",
]

import math
from collections.abc import Iterable
from typing import Protocol, Self

import msgspec

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, ToolCall
from openclaw_actors.providers.base import Answer

_CHARS_A_TOKEN = 4


class Garbage(ValueError):
    """Raised when what came is no answer in this format."""


class TooManyCalls(Garbage):
    """Raised when an answer asks for more tools than anybody takes."""


class ErrorBody(msgspec.Struct, frozen=True):
    """What a provider says about a failure; all of it may be empty, and none of it is for the user."""

    reason: str = ""
    message: str = ""
    parameter: str = ""


class AnswerParts(Protocol):
    """Adds up the parts of one answer, streamed or whole."""

    error: ErrorBody | None
    """The provider reported a failure instead of the rest of its answer."""
    begun: bool
    """A part of an answer has come, be it an empty one."""
    ended: bool
    """The provider has said that nothing more is to come."""

    @property
    def finish_reason(self) -> str:
        """`stop`, `length`, `content_filter` or another word, once the model has ended its answer; else empty."""
        ...

    def add(self, data: bytes) -> str:
        """Take one part and return the text that it adds.

        Raises:
            Garbage: it is no such part.
        """
        ...

    def answer(self, request: Complete) -> Answer:
        """All of it.

        Raises:
            Garbage: its parts make no answer.
        """
        ...


class RequestFormat(Protocol):
    """How a provider wants its requests, and in what form it answers them. Immutable."""

    @property
    def model(self) -> str:
        """The model that is asked for where the request names none."""
        ...

    def encode(self, request: Complete) -> bytes:
        """The body of a request.

        Raises:
            ValueError: a text holds what is no character, such as half of a surrogate pair.
        """
        ...

    def without_refused(self, error: ErrorBody, sent: Self) -> Self | None:
        """This format without what the provider refused in a request; None: it refused nothing that can be changed.

        Args:
            error: the refusal.
            sent: the format of the refused request. Another call may have learned from its own refusal meanwhile, so
                what is refused says nothing of this format, only of that one.
        """
        ...

    def read_error(self, body: bytes) -> ErrorBody:
        """What the body of a refusal says."""
        ...

    def begin_answer(self) -> AnswerParts:
        """What will add up the parts of the next answer."""
        ...


def read_error(body: bytes) -> ErrorBody:
    """What an error body says: `{"error": {…}}`, `{"error": "…"}`, `[{"error": …}]`, `{"detail": …}`, or nothing."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ErrorBody()
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    error = decoded.get("error", decoded) if isinstance(decoded, dict) else decoded
    return error_of(error)


def error_of(error: object) -> ErrorBody:
    """The provider's error in whichever form it has; an empty one where it has none."""
    if isinstance(error, str):
        return ErrorBody(message=error)
    if not isinstance(error, dict):
        return ErrorBody()
    reason = error.get("code") or error.get("type") or ""
    return ErrorBody(
        reason=str(reason),
        message=str(error.get("message") or _detail(error.get("detail"))),
        parameter=str(error.get("param") or ""),
    )


def _detail(detail: object) -> str:
    """FastAPI's form: a text, or a list of what is wrong where; its `input` is what the user wrote and stays out."""
    if isinstance(detail, str):
        return detail
    first = detail[0] if isinstance(detail, list) and detail else None
    if not isinstance(first, dict):
        return ""
    place = first.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {first.get('msg') or ''}"


def named_calls(request: Complete, calls: Iterable[tuple[str, str, str]]) -> tuple[ToolCall, ...]:
    """The tool calls of an answer, each with an id of its own.

    Args:
        request: what was asked.
        calls: id, name and arguments of each.

    Raises:
        Garbage: one has no name.
    """
    found: list[ToolCall] = []
    seen: set[str] = set()
    for number, (call_id, name, arguments) in enumerate(calls):
        if not name:
            raise Garbage("a tool call without a name")
        # Results are told apart by the ids of their calls, which not every server gives, or gives but once.
        given = (call_id if call_id not in seen else "") or f"{request.call_id}.{number}"
        seen.add(given)
        found.append(ToolCall(call_id=given, name=name, arguments=arguments or "{}"))
    return tuple(found)


def estimate_usage(request: Complete, text: str | int, calls: Iterable[ToolCall] = ()) -> Usage:
    """What a call used, where the provider does not say: a token for each four characters, rounded up.

    Args:
        request: what was asked.
        text: what was answered, or how many characters of it.
        calls: the tools that it asked for.
    """
    chars = (text if isinstance(text, int) else len(text)) + sum(_call_length(call) for call in calls)
    return Usage(
        input_tokens=math.ceil(sum(_length(message) for message in request.messages) / _CHARS_A_TOKEN),
        output_tokens=math.ceil(chars / _CHARS_A_TOKEN),
    )


def _length(message: ChatMessage) -> int:
    return len(message.text) + sum(_call_length(call) for call in message.tool_calls)


def _call_length(call: ToolCall) -> int:
    return len(call.name) + len(call.arguments)
