"""Owns streams of Anthropic's Messages API, event by event in the form in which its official client was recorded.

That client reads each of them in a test, so that a stream which only we understand is none.
"""

from __future__ import annotations

__all__ = ["STREAMS", "body_of", "delta", "ending", "error", "event", "start", "text_block", "tool_block"]

import json
from collections.abc import Iterable
from typing import Any

Event = tuple[str, dict[str, Any]]


def event(name: str, **given: Any) -> Event:
    return name, {"type": name, **given}


def start(*, model: str = "claude-sonnet-5-5", **usage: int) -> Event:
    message = {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 11,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
            "service_tier": "standard",
            **usage,
        },
    }
    return event("message_start", message=message)


def delta(index: int, kind: str, **given: str) -> Event:
    return event("content_block_delta", index=index, delta={"type": kind, **given})


def text_block(index: int, *pieces: str) -> list[Event]:
    return [
        event("content_block_start", index=index, content_block={"type": "text", "text": ""}),
        event("ping"),
        *(delta(index, "text_delta", text=piece) for piece in pieces),
        event("content_block_stop", index=index),
    ]


def tool_block(index: int, call_id: str, name: str, *pieces: str) -> list[Event]:
    block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    return [
        event("content_block_start", index=index, content_block=block),
        *(delta(index, "input_json_delta", partial_json=piece) for piece in ("", *pieces)),
        event("content_block_stop", index=index),
    ]


def ending(reason: str = "end_turn", **usage: int) -> list[Event]:
    return [
        event(
            "message_delta",
            delta={"stop_reason": reason, "stop_sequence": None},
            usage={"output_tokens": 6, **usage},
        ),
        event("message_stop"),
    ]


def error(kind: str, message: str) -> Event:
    return event("error", error={"type": kind, "message": message})


STREAMS: dict[str, list[Event]] = {
    "text": [start(), *text_block(0, "Hello", " there", "!"), *ending()],
    "tool": [
        start(),
        *text_block(0, "I", "'ll look."),
        *tool_block(1, "toolu_01A", "get_weather", '{"locati', 'on": "P', "ar", 'is"}'),
        *ending("tool_use", output_tokens=65),
    ],
    "tools": [
        start(),
        *tool_block(0, "toolu_01A", "look", '{"at": "a"}'),
        *tool_block(1, "toolu_01B", "look", '{"at":', ' "b"}'),
        *tool_block(2, "toolu_01C", "rest"),
        *ending("tool_use"),
    ],
    "thinking": [
        start(),
        event(
            "content_block_start",
            index=0,
            content_block={"type": "thinking", "thinking": "", "signature": ""},
        ),
        delta(0, "thinking_delta", thinking="Hm."),
        delta(0, "signature_delta", signature="EqQBCgIYAhIM"),
        event("content_block_stop", index=0),
        *text_block(1, "Yes."),
        *ending(),
    ],
    "server tool": [
        start(),
        *text_block(0, "Let me search."),
        event(
            "content_block_start",
            index=1,
            content_block={"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search", "input": {}},
        ),
        delta(1, "input_json_delta", partial_json='{"query": "x"}'),
        event("content_block_stop", index=1),
        *ending(),
    ],
    "cached": [
        start(input_tokens=25, cache_creation_input_tokens=10, cache_read_input_tokens=5),
        *text_block(0, "Hello there!"),
        *ending(input_tokens=40, cache_creation_input_tokens=12, cache_read_input_tokens=7, output_tokens=8),
    ],
    "refusal": [start(), *text_block(0), *ending("refusal", output_tokens=120)],
    "cut": [start(), *text_block(0, "It was a"), *ending("max_tokens")],
    "sequence": [start(), *text_block(0, "1, 2"), *ending("stop_sequence")],
}


def body_of(events: Iterable[Event]) -> bytes:
    """The stream as it travels."""
    lines = (f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n" for name, data in events)
    return "".join(lines).encode()
