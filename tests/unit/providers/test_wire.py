"""Requests are written, and the pieces of answers added up, as servers of many kinds do it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, Sampling, ToolCall
from openclaw_actors.providers.base import Answer
from openclaw_actors.providers.formats import ErrorBody, Garbage, estimate_usage, read_error
from openclaw_actors.providers.wire import (
    AnswerBuilder,
    RequestShape,
)

__all__: list[str] = []

SHAPE = RequestShape(model="m", max_tokens=5, temperature=0.5)


def request(*messages: ChatMessage, **given: Any) -> Complete:
    return Complete(call_id="t/1/1", session="s", correlation_id="k", messages=messages, **given)


def build(*chunks: Any) -> Answer:
    builder = AnswerBuilder()
    for chunk in chunks:
        builder.add(json.dumps(chunk).encode())
    return builder.answer(request())


def tool_piece(**piece: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": [piece]}}]}


def function(name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


# Requests


def test_the_history_with_tools() -> None:
    call = ToolCall(call_id="c", name="look", arguments="{}")
    body = json.loads(
        SHAPE.encode(
            request(
                ChatMessage(role="assistant", text="", tool_calls=(call,)),
                ChatMessage(role="tool", text="seen", call_id="c", name="look"),
                model="other",
            )
        )
    )

    assert body["model"] == "other"
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "seen"},
    ]
    assert "tools" not in body


def test_what_one_request_wants_otherwise_goes_to_the_provider() -> None:
    wanted = Sampling(
        temperature=0.0,
        top_p=0.1,
        max_tokens=3,
        stop=("a", "b"),
        seed=0,
        response_format={"type": "json_object"},
    )
    body = json.loads(SHAPE.encode(request(sampling=wanted)))
    assert {name: body[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed")} == {
        "temperature": 0.0,
        "top_p": 0.1,
        "max_tokens": 3,
        "stop": ["a", "b"],
        "seed": 0,
    }
    assert body["response_format"] == {"type": "json_object"}
    assert "frequency_penalty" not in body


def test_no_request_gets_more_tokens_than_the_configuration_allows() -> None:
    body = json.loads(SHAPE.encode(request(sampling=Sampling(max_tokens=1_000_000))))
    assert (body["max_tokens"], body["temperature"]) == (5, 0.5)


def test_a_temperature_that_the_model_refuses_is_not_sent_for_a_client_either() -> None:
    taught = SHAPE.without_refused(ErrorBody(parameter="temperature"), SHAPE)
    assert taught is not None
    assert "temperature" not in json.loads(taught.encode(request(sampling=Sampling(temperature=0.1))))


@pytest.mark.parametrize(
    ("said", "means"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("eos", "stop")],
)
def test_why_an_answer_ends(said: str, means: str) -> None:
    answer = build({"choices": [{"delta": {"content": "x"}, "finish_reason": said}]})
    assert answer.finish_reason == means


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        SHAPE.encode(request(ChatMessage(role="user", text="\ud83d")))


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        ({"message": "Unknown field: stream_options"}, {"usage_wanted": False}),
        ({"parameter": "stream_options"}, {"usage_wanted": False}),
        ({"message": "Use 'max_completion_tokens' instead"}, {"length_key": "max_completion_tokens"}),
        ({"parameter": "temperature", "message": "Only 1 is supported"}, {"temperature": None}),
        ({"message": "temperature is not supported"}, {"temperature": None}),
    ],
)
def test_what_is_refused_is_changed_once(error: dict[str, str], changed: dict[str, Any]) -> None:
    refusal = ErrorBody(**error)

    better = SHAPE.without_refused(refusal, SHAPE)

    assert better is not None
    assert {name: getattr(better, name) for name in changed} == changed
    assert better.without_refused(refusal, SHAPE) == better, "two calls were refused for the same at once"


@pytest.mark.parametrize(
    "error",
    [
        {},
        {"message": "no such model"},
        {"message": "max_tokens is too large", "parameter": "max_tokens"},
        {"message": "temperature in the text", "parameter": "messages"},
    ],
)
def test_what_cannot_be_changed_is_a_refusal(error: dict[str, str]) -> None:
    assert SHAPE.without_refused(ErrorBody(**error), SHAPE) is None


def test_the_newer_name_of_the_limit_is_given_up_where_it_is_not_known() -> None:
    newer = RequestShape(model="m", max_tokens=5, temperature=None, length_key="max_completion_tokens")
    better = newer.without_refused(ErrorBody(message="Unrecognized: max_completion_tokens"), newer)

    assert better is not None
    assert better.length_key == "max_tokens"
    assert "max_tokens" in json.loads(better.encode(request()))


# Errors


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"error": {"code": "c", "message": "m", "param": "p"}}', ErrorBody("c", "m", "p")),
        ('{"error": {"type": "t", "code": null}}', ErrorBody("t")),
        ('{"error": {"code": 429}}', ErrorBody("429")),
        ('{"error": "text"}', ErrorBody(message="text")),
        ('[{"error": {"message": "m"}}]', ErrorBody(message="m")),
        ('{"message": "m", "code": 400}', ErrorBody("400", "m")),
        ('{"detail": "Not Found"}', ErrorBody(message="Not Found")),
        (
            '{"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs", "input": "USER"}]}',
            ErrorBody(message="body.stream_options: Extra inputs"),
        ),
        ('{"detail": [{"loc": 3}]}', ErrorBody(message=": ")),
        ('{"detail": [3]}', ErrorBody()),
        ("<html>", ErrorBody()),
        ("", ErrorBody()),
        ("[]", ErrorBody()),
        ("7", ErrorBody()),
        ("\ufffd", ErrorBody()),
    ],
)
def test_error_bodies(body: str, expected: ErrorBody) -> None:
    assert read_error(body.encode()) == expected


@given(st.binary(max_size=60))
def test_any_error_body_is_read(body: bytes) -> None:
    read_error(body)


# Answers


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "delta", "content", "tool_calls", "function", "usage", "error", "index"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_piece_or_garbage(value: Any) -> None:
    builder = AnswerBuilder()
    try:
        builder.add(json.dumps(value).encode())
        builder.answer(request())
    except Garbage:
        pass


def test_refusals_are_texts_and_reasoning_is_none() -> None:
    answer = build(
        {"choices": [{"delta": {"reasoning_content": "hmm"}}]},
        {"choices": [{"delta": {"refusal": "I will "}}]},
        {"choices": [{"delta": {"refusal": "not."}}]},
    )

    assert answer.text == "I will not."


@pytest.mark.parametrize(
    "pieces",
    [
        [
            {"index": 0, "id": "a", "function": function("x", "{")},
            {"index": 0, "function": function(None, "}")},
        ],
        [{"id": "a", "function": function("x", "{")}, {"function": function(None, "}")}],
        [{"index": 0, "id": "a", "function": function("x", {})}],
        [{"index": 0, "id": "a", "function": function("x")}],
    ],
)
def test_one_tool_call_however_it_comes(pieces: list[dict[str, Any]]) -> None:
    answer = build(*(tool_piece(**piece) for piece in pieces))

    assert answer.tool_calls == (ToolCall(call_id="a", name="x", arguments="{}"),)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("a", "b"), ("a", "b")),
        (("a", "a"), ("a", "t/1/1.1")),
        ((None, None), ("t/1/1.0", "t/1/1.1")),
        (("", "a"), ("t/1/1.0", "a")),
    ],
)
def test_each_tool_call_has_an_id_of_its_own(ids: tuple[Any, Any], expected: tuple[str, str]) -> None:
    answer = build(
        *(tool_piece(index=number, id=each, function=function("x")) for number, each in enumerate(ids))
    )

    assert tuple(call.call_id for call in answer.tool_calls) == expected


def test_calls_that_are_all_numbered_zero_are_told_apart_by_their_ids() -> None:
    answer = build(
        tool_piece(index=0, id="a", function=function("x")),
        tool_piece(index=0, id="b", function=function("y")),
    )

    assert [(call.call_id, call.name) for call in answer.tool_calls] == [("a", "x"), ("b", "y")]


def test_a_tool_call_without_a_name_and_too_many_of_them_are_garbage() -> None:
    with pytest.raises(Garbage):
        build(tool_piece(index=0, id="a"))
    with pytest.raises(Garbage):
        build(*(tool_piece(index=number, id=str(number), function=function("x")) for number in range(129)))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
        ({"prompt_tokens": 3}, Usage(input_tokens=3, output_tokens=1)),
        ({"prompt_tokens": -3, "completion_tokens": "4"}, Usage(input_tokens=0, output_tokens=4)),
        (None, Usage(input_tokens=0, output_tokens=1)),
        ("strange", Usage(input_tokens=0, output_tokens=1)),
        ({"prompt_tokens": [1]}, Usage(input_tokens=0, output_tokens=1)),
    ],
)
def test_usage_is_what_the_provider_says_else_an_estimate(usage: Any, expected: Usage) -> None:
    assert (
        build({"choices": [{"delta": {"content": "abc"}}]}, {"choices": [], "usage": usage}).usage == expected
    )


def test_a_later_chunk_without_usage_does_not_take_it_back() -> None:
    answer = build({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, {"usage": None})

    assert answer.usage == Usage(input_tokens=1, output_tokens=2)


def test_estimates_are_a_token_for_four_characters_rounded_up() -> None:
    call = ToolCall(call_id="c", name="ab", arguments="{}")
    asked = request(
        ChatMessage(role="user", text="x" * 9), ChatMessage(role="assistant", text="", tool_calls=(call,))
    )

    assert estimate_usage(asked, 5) == Usage(input_tokens=4, output_tokens=2)
    assert estimate_usage(request(), 0) == Usage()
