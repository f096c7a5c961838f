"""A request is understood, or the field that is wrong is named; nothing that a client sends is our own fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.channels.openai.problems import ApiProblem
from openclaw_actors.channels.openai.requests import ChatRequest, parse_chat, parse_key, parse_session
from openclaw_actors.messages import ChatMessage, Sampling

__all__: list[str] = []

HELLO = [{"role": "user", "content": "hello"}]


def parse(**fields: Any) -> ChatRequest:
    return parse_chat(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def refusal(body: bytes | None = None, **fields: Any) -> ApiProblem:
    with pytest.raises(ApiProblem) as caught:
        parse(**fields) if body is None else parse_chat(body)
    assert caught.value.status == 400
    return caught.value


def new_text(*messages: dict[str, Any], max_chars: int = 100) -> str:
    return parse(messages=list(messages)).new_text(max_chars)


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


# What is understood


def test_the_usual_request() -> None:
    assert parse() == ChatRequest(model="m", messages=(ChatMessage(role="user", text="hello"),))


def test_everything_that_goes_to_the_model() -> None:
    request = parse(
        temperature=0,
        top_p=0.5,
        max_tokens=7,
        stop="end",
        presence_penalty=-2,
        frequency_penalty=2,
        seed=-1,
        reasoning_effort="low",
        response_format={"type": "json_object"},
        stream=True,
        stream_options={"include_usage": True},
        user="alice",
    )
    assert request.sampling == Sampling(
        temperature=0.0,
        top_p=0.5,
        max_tokens=7,
        stop=("end",),
        presence_penalty=-2.0,
        frequency_penalty=2.0,
        seed=-1,
        reasoning_effort="low",
        response_format={"type": "json_object"},
    )
    assert (request.stream, request.include_usage, request.user) == (True, True, "alice")


def test_the_newer_name_of_the_length_wins() -> None:
    assert parse(max_tokens=1, max_completion_tokens=2).sampling.max_tokens == 2


def test_parts_of_text_and_roles() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "text", "text": "here"}]
    request = parse(messages=[said("developer", "be kind"), said("assistant", None), said("user", parts)])
    assert [(message.role, message.text) for message in request.messages] == [
        ("system", "be kind"),
        ("assistant", ""),
        ("user", "look\nhere"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [], "tool_choice": "none", "functions": None},
        {"n": 1, "logprobs": False, "top_logprobs": None, "modalities": ["text"]},
        {
            "metadata": {"a": "b"},
            "store": True,
            "logit_bias": {"5": 1},
            "service_tier": "auto",
            "frobnicate": [[]],
        },
        {"stream": None, "stream_options": None, "temperature": None, "stop": None, "user": None},
    ],
)
def test_what_asks_for_nothing_is_ignored(fields: dict[str, Any]) -> None:
    assert parse(**fields) == parse()


# What is refused


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": []}, "messages", "a list of 0"),
        ({"messages": "hello"}, "messages", "'hello'"),
        ({"messages": [said("user", 5)]}, "messages[0].content", "5 is not allowed"),
        ({"messages": [said("user", None)]}, "messages[0].content", "is missing"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "is missing"),
        ({"messages": [said("wizard", "x")]}, "messages[0].role", "'wizard'"),
        ({"messages": [said("tool", "x")]}, "messages[0].role", "'tool'"),
        ({"messages": [*HELLO, said("user", [{"type": "image_url"}])]}, "messages[1].content[0].type", "image_url"),
        ({"messages": [said("user", [{"type": "text"}])]}, "messages[0].content[0].text", "is missing"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls", "not supported"),
        ({"n": 2}, "n", "2 is not allowed"),
        ({"tools": [{"type": "function"}]}, "tools", "not supported"),
        ({"functions": [{}]}, "functions", "not supported"),
        ({"tool_choice": "required"}, "tool_choice", "not supported"),
        ({"logprobs": True}, "logprobs", "not supported"),
        ({"modalities": ["text", "audio"]}, "modalities", "text"),
        ({"temperature": 3}, "temperature", "3 is not allowed: expected `float` <= 2.0"),
        ({"temperature": "hot"}, "temperature", "'hot'"),
        ({"max_tokens": 0}, "max_tokens", ">= 1"),
        ({"stop": ["a"] * 5}, "stop", "a list of 5"),
        ({"stop": [1]}, "stop[0]", "1 is not allowed"),
        ({"stream": "yes"}, "stream", "'yes'"),
        ({"user": 7}, "user", "7"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "'xml'"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_value(fields: dict[str, Any], param: str, words: str) -> None:
    problem = refusal(**fields)
    assert problem.param == param
    assert problem.message.startswith(param)
    assert words in problem.message
    assert problem.body["error"]["type"] == "invalid_request_error"


def test_a_missing_field_is_named() -> None:
    problem = refusal(b"{}")
    assert (problem.param, problem.code) == ("messages", "missing_required_parameter")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b'{"messages":',
        b"\xff",
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"temperature":1e999}',
    ],
)
def test_what_is_not_json_is_said_to_be_none(body: bytes) -> None:
    assert "JSON" in refusal(body).message or refusal(body).param == "temperature"


def test_what_follows_a_wrong_field_may_be_anything() -> None:
    assert refusal(b'{"n":"x","y":' + b"[" * 100_000).param == "n"


def test_a_long_value_is_not_repeated_whole() -> None:
    assert len(refusal(messages="x" * 10_000).message) < 300


# Sessions


def test_the_header_names_the_session_before_the_user_does() -> None:
    assert parse_session("s", "u") == "s"
    assert parse_session(None, "u") == "u"
    assert parse_session(None, None) is None


@pytest.mark.parametrize("bad", ["", "x" * 129, "a\nb", "\udc80"])
def test_a_name_that_cannot_be_is_refused_by_its_field(bad: str) -> None:
    for header, user, param in ((bad, "fine", "X-OpenClaw-Session-Id"), (None, bad, "user")):
        with pytest.raises(ApiProblem) as caught:
            parse_session(header, user)
        assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("bad", ["", "x" * 129, "a\tb"])
def test_a_key_that_cannot_be_is_refused(bad: str) -> None:
    assert parse_key("k" * 128) == "k" * 128
    with pytest.raises(ApiProblem) as caught:
        parse_key(bad)
    assert caught.value.param == "Idempotency-Key"


def test_of_the_whole_list_only_the_last_message_is_new() -> None:
    assert new_text(said("system", "s"), said("user", "1"), said("assistant", "a"), said("user", "2")) == "2"
    assert new_text(said("user", "2"), said("system", "be brief")) == "2"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([said("user", "1"), said("assistant", "a")], "messages"),
        ([said("system", "s")], "messages"),
        ([said("user", " \n")], "messages[0].content"),
        ([said("system", "s"), said("user", "x" * 101)], "messages[1].content"),
    ],
)
def test_what_a_session_cannot_answer(messages: list[dict[str, Any]], param: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        new_text(*messages)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_session_answers_in_text() -> None:
    with pytest.raises(ApiProblem) as caught:
        parse(response_format={"type": "json_object"}).new_text(100)
    assert caught.value.param == "response_format"
    assert parse(response_format={"type": "text"}).new_text(100) == "hello"


# Anything

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool", ""]) | json_values},
        optional={
            "content": st.text(max_size=5)
            | st.lists(
                st.fixed_dictionaries({"type": st.just("text") | json_values, "text": json_values}),
                max_size=3,
            )
            | json_values,
            "tool_calls": json_values,
        },
    ),
    max_size=4,
)
fields = ("model", "stream", "stream_options", "user", "n", "temperature", "max_tokens", "stop", "tools", "tool_choice",
          "response_format", "logprobs", "modalities", "seed", "whatever")  # fmt: skip
requests = st.fixed_dictionaries(
    {"messages": messages | json_values}, optional=dict.fromkeys(fields, json_values)
)


def read(body: bytes) -> None:
    problem = None
    try:
        request = parse_chat(body)
        parse_session(None, request.user)
        request.new_text(100)
    except ApiProblem as refused:
        problem = refused
    if problem is not None:
        assert problem.status == 400
        assert json.loads(problem.encode())["error"]["message"]


@given(requests)
def test_no_request_is_our_fault(request: dict[str, Any]) -> None:
    read(json.dumps(request).encode())


@given(st.binary(max_size=60))
def test_no_body_is_our_fault(body: bytes) -> None:
    read(body)


@given(requests, st.data())
def test_no_damage_on_the_way_is_our_fault(request: dict[str, Any], data: st.DataObject) -> None:
    body = bytearray(json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    read(bytes(body[: data.draw(st.integers(0, len(body)))]))
