"""What Anthropic streams adds up to an answer, whatever is in between; garbage is never anything but garbage."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, ToolCall
from openclaw_actors.providers.anthropic_answers import MessageParts, read_messages_error
from openclaw_actors.providers.base import Answer
from openclaw_actors.providers.formats import Garbage
from openclaw_actors.providers.reader import AnswerReader, Cut, TooLarge
from tests.system.providers.anthropic_streams import (
    STREAMS,
    body_of,
    delta,
    ending,
    error,
    event,
    start,
    text_block,
    tool_block,
)

__all__: list[str] = []

REQUEST = Complete(
    call_id="c", session="s", correlation_id="k", messages=(ChatMessage(role="user", text="12345678"),)
)


def read(*pieces: bytes) -> tuple[str, AnswerReader]:
    reader = AnswerReader(MessageParts(), max_bytes=100_000)
    said: list[str] = []
    for piece in pieces:
        if reader.done or reader.error is not None:
            break
        said += reader.feed(piece)
    if not reader.done and reader.error is None:
        said += reader.end()
    return "".join(said), reader


def answer(events: list[Any]) -> Answer:
    said, reader = read(body_of(events))
    assert reader.done
    made = reader.answer(REQUEST)
    assert made.text == said
    return made


def call(call_id: str, name: str, arguments: str) -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("name", "text", "calls", "finish"),
    [
        ("text", "Hello there!", (), "stop"),
        ("tool", "I'll look.", (call("toolu_01A", "get_weather", '{"location": "Paris"}'),), "stop"),
        (
            "tools",
            "",
            (
                call("toolu_01A", "look", '{"at": "a"}'),
                call("toolu_01B", "look", '{"at": "b"}'),
                call("toolu_01C", "rest", "{}"),
            ),
            "stop",
        ),
        ("thinking", "Yes.", (), "stop"),
        ("server tool", "Let me search.", (), "stop"),
        ("cached", "Hello there!", (), "stop"),
        ("refusal", "", (), "content_filter"),
        ("cut", "It was a", (), "length"),
        ("sequence", "1, 2", (), "stop"),
    ],
)
def test_answers(name: str, text: str, calls: tuple[ToolCall, ...], finish: str) -> None:
    made = answer(STREAMS[name])
    assert (made.text, made.tool_calls, made.finish_reason) == (text, calls, finish)


def test_the_whole_input_is_counted_and_what_of_it_the_cache_had() -> None:
    made = answer(STREAMS["cached"])
    assert made.usage == Usage(input_tokens=40 + 12 + 7, output_tokens=8)
    assert (made.cache_read_tokens, made.cache_write_tokens) == (7, 12)
    assert answer(STREAMS["text"]).usage == Usage(input_tokens=11, output_tokens=6)


def test_what_is_not_counted_is_estimated() -> None:
    bare = event("message_start", message={"usage": "many"})
    made = answer([bare, *text_block(0, "12345"), event("message_stop")])
    assert made.usage == Usage(input_tokens=2, output_tokens=2)


def test_one_document_is_read_as_well() -> None:
    document = {
        "type": "message",
        "content": [
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {"at": "a"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    said, reader = read(json.dumps(document).encode())
    made = reader.answer(REQUEST)
    assert (said, made.text, made.usage) == ("Hello", "Hello", Usage(input_tokens=3, output_tokens=4))
    ((arguments,),) = [[json.loads(each.arguments)] for each in made.tool_calls]
    assert arguments == {"at": "a"}


def test_calls_that_are_streamed_at_the_same_time_are_kept_apart() -> None:
    first, second = tool_block(0, "a", "look", '{"n":', "1}"), tool_block(1, "b", "look", '{"n":', "2}")
    mixed = [each for pair in zip(first, second, strict=True) for each in pair]
    made = answer([start(), *mixed, *ending("tool_use")])
    assert [each.arguments for each in made.tool_calls] == ['{"n":1}', '{"n":2}']


@pytest.mark.parametrize("said", [(), ("half",)])
def test_an_error_ends_the_stream(said: tuple[str, ...]) -> None:
    body = body_of([start(), *(delta(0, "text_delta", text=text) for text in said)])
    text, reader = read(body, body_of([error("overloaded_error", "Overloaded"), *text_block(0, "no")]))
    assert text == "".join(said)
    assert reader.error is not None
    assert reader.error.reason == "overloaded_error"
    assert not reader.complete


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("prompt is too long: 208310 tokens > 200000 maximum", "context_length_exceeded"),
        ("input length and `max_tokens` exceed context limit: 1 + 2 > 2", "context_length_exceeded"),
        ("Your credit balance is too low to access the Anthropic API.", "insufficient_quota"),
        ("messages: field required", "invalid_request_error"),
    ],
)
def test_reasons_that_only_the_text_tells(message: str, reason: str) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    assert read_messages_error(json.dumps(body).encode()).reason == reason


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", Cut),
        (b"<html>", Garbage),
        (b"[]", Garbage),
        (b'{"ok": true}', Garbage),
        (b"data: oops\n\n", Garbage),
        (b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n', Garbage),
        (b'data: {"type":"message_stop"}\n\n', Garbage),
        (b'data: {"type":"message_start","message":7}\n\n', Garbage),
        (b"data: " + b"[" * 50_000 + b"\n\n", Garbage),
        (b'data: {"x":' + b"[" * 50_000 + b"\n\n", Garbage),
        (body_of(STREAMS["text"][:-2]), Cut),
        (body_of(STREAMS["text"])[:-200], Cut),
        (body_of([start(), *text_block(0, "x" * 200_000)]), TooLarge),
        (body_of([start(), *(each for n in range(200) for each in tool_block(n, f"{n}", "look"))]), Garbage),
    ],
    ids=range(14),
)
def test_what_is_no_answer(body: bytes, failure: type[Exception]) -> None:
    with pytest.raises(failure):
        read(body)


def test_a_stream_may_end_without_its_last_word() -> None:
    said, reader = read(body_of(STREAMS["text"][:-1]))
    assert (said, reader.done, reader.finish_reason) == ("Hello there!", True, "stop")


def test_a_call_without_a_name_is_garbage() -> None:
    _, reader = read(body_of([start(), *tool_block(0, "a", ""), *ending("tool_use")]))
    with pytest.raises(Garbage):
        reader.answer(REQUEST)


def outcome(*pieces: bytes) -> object:
    try:
        _, reader = read(*pieces)
        return reader.error if reader.error is not None else reader.answer(REQUEST)
    except (Garbage, Cut, TooLarge) as failure:
        return type(failure)


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 3000)))
def test_it_does_not_matter_where_the_bytes_are_cut(name: str, cuts: list[int]) -> None:
    body = body_of(STREAMS[name])
    edges = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [body[a:b] for a, b in itertools.pairwise(edges)]
    assert outcome(*pieces) == outcome(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["type", "index", "message", "content_block", "delta", "usage", "error", "content", "stop_reason"]
KINDS = [
    "message_start",
    "message",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
    "tool_use",
    "text",
]
BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS) | JSON,
        **dict.fromkeys(("text", "id", "name", "input", "partial_json", "stop_reason", "usage"), JSON),
        "content": JSON,
    },
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | JSON}, optional=dict.fromkeys(KEYS[1:], BLOCKS | JSON)
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no finding
@given(st.lists(EVENTS, max_size=5))
def test_events_of_any_shape_are_an_answer_or_garbage(events: list[Any]) -> None:
    outcome("".join(f"data: {json.dumps(each)}\n\n" for each in events).encode())


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_bytes_of_any_kind_are_garbage_at_worst(pieces: list[bytes]) -> None:
    outcome(*pieces)
    outcome(b'data: {"type":"message_start","message":{}}\n\n', *pieces)
    read_messages_error(b"".join(pieces))
