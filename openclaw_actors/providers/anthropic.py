"""Owns the requests of Anthropic's Messages API: how a history that was made for any provider is told to this one.

The API is strict: roles alternate and the user begins, no text is blank, every use of a tool has its result at the head
of the next message, and ids are of one alphabet. What does not fit is bent until it does, and nothing of it is lost.
"""

from __future__ import annotations

__all__ = ["MessagesFormat"]

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from openclaw_actors.messages.model import ChatMessage, Complete, Sampling, ToolCall
from openclaw_actors.providers.anthropic_answers import MessageParts, read_messages_error
from openclaw_actors.providers.formats import ErrorBody

_Block: TypeAlias = dict[str, Any]

_HIGHEST_TEMPERATURE = 1.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_MOST_TOKENS = re.compile(r"max_tokens: \d+ > (\d+)")
_LEFT_OUT = "(What was said before is left out.)"
_BLANK = "(An empty message.)"
_GO_ON = "(Please go on.)"
_NO_RESULT = "There is no result of this call."
_CACHED: _Block = {"type": "ephemeral"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MessagesFormat:
    """How requests to the Messages API are made.

    Args:
        model: the model that is asked for where the request names none.
        max_tokens: the longest answer.
        temperature: None: send none; newer models, and all in newer versions of the API, refuse it.
        sends_top_p: the same.
        caches: mark how far the beginning of a request stays the same, so that the next one costs a tenth of it.
    """

    model: str
    max_tokens: int
    temperature: float | None
    sends_top_p: bool = True
    caches: bool = True

    def encode(self, request: Complete) -> bytes:
        """See `RequestFormat.encode`."""
        wanted = request.sampling or Sampling()
        system = [
            {"type": "text", "text": message.text}
            for message in request.messages
            if message.role == "system" and message.text.strip()
        ]
        messages = _History().tell(request.messages)
        tools = [_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]
        body: dict[str, Any] = {
            "model": request.model or self.model,
            "max_tokens": min(self.max_tokens, wanted.max_tokens or self.max_tokens),
            "stream": True,
            **self._sampling(wanted),
        }
        if stop := [text for text in wanted.stop if text.strip()]:
            body["stop_sequences"] = stop
        if not tools and (names := _tools_used(messages)):
            # A history with tools in it is refused where no tools are told of.
            tools = [_tool(name, "Not available any more.", {}) for name in names]
            body["tool_choice"] = {"type": "none"}
        if self.caches:
            _mark(system or tools)
            _mark(messages[-1]["content"])
        if tools:
            body["tools"] = tools
        if system:
            body["system"] = system
        body["messages"] = messages
        return msgspec.json.encode(body)

    def _sampling(self, wanted: Sampling) -> dict[str, float]:
        """One of the two: the API takes no request with both."""
        if wanted.top_p is not None and wanted.temperature is None and self.sends_top_p:
            return {"top_p": wanted.top_p}
        if self.temperature is None:
            return {}
        chosen = self.temperature if wanted.temperature is None else wanted.temperature
        return {"temperature": min(chosen, _HIGHEST_TEMPERATURE)}

    def without_refused(self, error: ErrorBody, sent: MessagesFormat) -> MessagesFormat | None:
        """See `RequestFormat.without_refused`."""
        refused = error.message.lower()
        if "cache_control" in refused and sent.caches:
            return replace(self, caches=False)
        if "top_p" in refused and sent.sends_top_p:
            return replace(self, sends_top_p=False)
        if "temperature" in refused and sent.temperature is not None:
            return replace(self, temperature=None)
        if (most := _MOST_TOKENS.search(refused)) and 0 < (number := int(most[1][:9])) < sent.max_tokens:
            return replace(self, max_tokens=number)
        return None

    def read_error(self, body: bytes) -> ErrorBody:
        """See `RequestFormat.read_error`."""
        return read_messages_error(body)

    def begin_answer(self) -> MessageParts:
        """See `RequestFormat.begin_answer`."""
        return MessageParts()


def _tool(name: str, description: str, parameters: dict[str, object]) -> _Block:
    return {"name": name, "description": description, "input_schema": {"type": "object", **parameters}}


def _tools_used(messages: Sequence[_Block]) -> list[str]:
    uses = (block for message in messages for block in message["content"] if block["type"] == "tool_use")
    return list(dict.fromkeys(block["name"] for block in uses))


def _mark(blocks: list[_Block]) -> None:
    """Say that what ends with these blocks will come again."""
    if blocks:
        blocks[-1] = {**blocks[-1], "cache_control": _CACHED}


class _History:
    """Tells a history in alternating messages."""

    def __init__(self) -> None:
        self._messages: list[_Block] = []
        self._ids: dict[str, str] = {}
        """Of the calls of the last assistant message that still lack a result: ours, and what was told."""
        self._told: set[str] = set()

    def tell(self, messages: Sequence[ChatMessage]) -> list[_Block]:
        """All messages but the system's."""
        for message in messages:
            match message.role:
                case "user":
                    self._add("user", [_text(message.text if message.text.strip() else _BLANK)])
                case "assistant":
                    self._settle()
                    self._add("assistant", list(self._said(message)))
                case "tool":
                    self._add("user", [self._result(message)])
        self._settle()
        if not self._messages or self._messages[0]["role"] != "user":
            self._messages.insert(0, {"role": "user", "content": [_text(_LEFT_OUT)]})
        if self._messages[-1]["role"] == "assistant":
            # Newer models refuse an answer that they are to go on with.
            self._add("user", [_text(_GO_ON)])
        return self._messages

    def _add(self, role: str, blocks: list[_Block]) -> None:
        if not blocks:
            return
        if self._messages and self._messages[-1]["role"] == role:
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append({"role": role, "content": blocks})

    def _said(self, message: ChatMessage) -> Iterator[_Block]:
        if message.text.strip():
            yield _text(message.text)
        for call in message.tool_calls:
            told = self._ids[call.call_id] = self._id_of(call)
            name = _NOT_IN_NAMES.sub("_", call.name)[:128] or "unknown"
            yield {"type": "tool_use", "id": told, "name": name, "input": _input(call.arguments)}

    def _id_of(self, call: ToolCall) -> str:
        """An id of the API's alphabet that is not told yet; the same one each time, or no cache would know it."""
        told, again = call.call_id, 0
        while told in self._told or not _ID.fullmatch(told):
            digest = hashlib.blake2b(f"{call.call_id} {again}".encode(), digest_size=12).hexdigest()
            told, again = f"toolu_{digest}", again + 1
        self._told.add(told)
        return told

    def _result(self, message: ChatMessage) -> _Block:
        told = self._ids.pop(message.call_id or "", None)
        if told is None:  # its call was left out of the history
            return _text(f"(What the tool {message.name or ''} said: {message.text})")
        return _tool_result(told, message.text)

    def _settle(self) -> None:
        """Close the last step: no call stays without a result, and results stand before anything else."""
        if self._ids:
            self._add("user", [_tool_result(told, _NO_RESULT, failed=True) for told in self._ids.values()])
            self._ids.clear()
        if self._messages and self._messages[-1]["role"] == "user":
            self._messages[-1]["content"].sort(key=lambda block: block["type"] != "tool_result")


def _text(text: str) -> _Block:
    return {"type": "text", "text": text}


def _tool_result(told: str, text: str, *, failed: bool = False) -> _Block:
    result: _Block = {"type": "tool_result", "tool_use_id": told}
    if text.strip():
        result["content"] = text
    if failed:
        result["is_error"] = True
    return result


def _input(arguments: str) -> object:
    """A call's arguments as the object that they must be; what the model wrote instead is kept in one."""
    try:
        is_object = isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError, ValueError):
        is_object = False
    # As it was written: numbers of any length, and the order that the provider's cache knows.
    return msgspec.Raw(arguments.encode()) if is_object else {"unreadable": arguments}
