"""A history that was made for any provider becomes a request that Anthropic's Messages API takes."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.messages.model import ChatMessage, Complete, Sampling, ToolCall, ToolSpec
from openclaw_actors.providers.anthropic import MessagesFormat
from openclaw_actors.providers.formats import ErrorBody

__all__: list[str] = []

FORMAT = MessagesFormat(model="claude", max_tokens=50, temperature=0.5, caches=False)
LOOK = ToolSpec(name="look", description="Look.", parameters={"properties": {"at": {"type": "string"}}})


def encode(*messages: ChatMessage, form: MessagesFormat = FORMAT, **given: Any) -> dict[str, Any]:
    request = Complete(call_id="t/1/1", session="s", correlation_id="k", messages=messages, **given)
    decoded: dict[str, Any] = json.loads(form.encode(request))
    return decoded


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)


def assistant(text: str, *calls: tuple[str, str]) -> ChatMessage:
    made = tuple(ToolCall(call_id=call_id, name="look", arguments=arguments) for call_id, arguments in calls)
    return ChatMessage(role="assistant", text=text, tool_calls=made)


def result(call_id: str, text: str) -> ChatMessage:
    return ChatMessage(role="tool", text=text, call_id=call_id, name="look")


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def use(call_id: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "look", "input": given}


def told(call_id: str, content: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def test_a_request() -> None:
    body = encode(
        ChatMessage(role="system", text="Be brief."),
        user("Where am I?"),
        tools=(LOOK,),
        sampling=Sampling(stop=("END", " "), max_tokens=20),
    )
    assert body == {
        "model": "claude",
        "max_tokens": 20,
        "stream": True,
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "system": [text("Be brief.")],
        "messages": [{"role": "user", "content": [text("Where am I?")]}],
        "tools": [
            {
                "name": "look",
                "description": "Look.",
                "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
            }
        ],
    }


def test_several_tools_of_one_step_are_one_message_and_so_are_their_results() -> None:
    body = encode(
        user("Look."),
        assistant("I look.", ("a", '{"at":"x"}'), ("b", "{}")),
        result("a", "1"),
        result("b", "2"),
        assistant("And again.", ("c", "{}")),
        result("c", " "),
        tools=(LOOK,),
    )
    assert body["messages"] == [
        {"role": "user", "content": [text("Look.")]},
        {"role": "assistant", "content": [text("I look."), use("a", at="x"), use("b")]},
        {"role": "user", "content": [told("a", "1"), told("b", "2")]},
        {"role": "assistant", "content": [text("And again."), use("c")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
    ]


def test_results_stand_before_what_a_person_said_meanwhile() -> None:
    body = encode(user("Look."), assistant("", ("a", "{}")), user("Quick!"), result("a", "1"), tools=(LOOK,))
    assert body["messages"][2] == {"role": "user", "content": [told("a", "1"), text("Quick!")]}


@pytest.mark.parametrize(
    "arguments", ['{"at": ', "[1]", "null", "", '"x"', "[" * 5000, "NaN"], ids=lambda text: text[:9]
)
def test_arguments_that_are_no_object_are_kept_in_one(arguments: str) -> None:
    body = encode(user("Look."), assistant("", ("a", arguments)), result("a", "no"), tools=(LOOK,))
    assert body["messages"][1]["content"] == [use("a", unreadable=arguments)]


def test_numbers_of_any_length_are_as_they_were_written() -> None:
    body = encode(user("Look."), assistant("", ("a", f'{{"n": {10**40}}}')), result("a", "1"), tools=(LOOK,))
    assert body["messages"][1]["content"][0]["input"] == {"n": 10**40}


def test_ids_of_other_providers_are_told_in_the_alphabet_of_this_one_the_same_each_time() -> None:
    messages = (
        user("Look."),
        assistant("", ("t/1/1.0", "{}"), ("call 2", "{}")),
        result("t/1/1.0", "1"),
        result("call 2", "2"),
        assistant("", ("t/1/1.0", "{}")),
        result("t/1/1.0", "3"),
    )
    body = encode(*messages, tools=(LOOK,))
    assert encode(*messages, tools=(LOOK,)) == body
    uses = [block["id"] for message in body["messages"][1::2] for block in message["content"]]
    results = [block["tool_use_id"] for message in body["messages"][2::2] for block in message["content"]]
    assert uses == results
    assert len(set(uses)) == 3
    assert all(each.startswith("toolu_") and each.replace("_", "").isalnum() for each in uses)


def test_a_call_without_a_result_and_a_result_without_a_call_are_told_in_another_way() -> None:
    body = encode(
        result("gone", "old news"),
        user("Look."),
        assistant("", ("a", "{}")),
        assistant("Well."),
        tools=(LOOK,),
    )
    assert body["messages"] == [
        {"role": "user", "content": [text("(What the tool look said: old news)"), text("Look.")]},
        {"role": "assistant", "content": [use("a")]},
        {
            "role": "user",
            "content": [{**told("a", "There is no result of this call."), "is_error": True}],
        },
        {"role": "assistant", "content": [text("Well.")]},
        {"role": "user", "content": [text("(Please go on.)")]},
    ]


def test_the_user_begins_and_nothing_is_blank() -> None:
    body = encode(assistant("Hello. "), user(" "), assistant(""), user("x"), assistant("So far \n"))
    assert body["messages"] == [
        {"role": "user", "content": [text("(What was said before is left out.)")]},
        {"role": "assistant", "content": [text("Hello. ")]},
        {"role": "user", "content": [text("(An empty message.)"), text("x")]},
        {"role": "assistant", "content": [text("So far \n")]},
        {"role": "user", "content": [text("(Please go on.)")]},
    ]
    assert encode(ChatMessage(role="system", text="Be."))["messages"] == [
        {"role": "user", "content": [text("(What was said before is left out.)")]}
    ]


def test_a_history_with_tools_names_them_though_there_are_none_any_more() -> None:
    body = encode(user("Look."), assistant("", ("a", "{}")), result("a", "1"))
    assert [tool["name"] for tool in body["tools"]] == ["look"]
    assert body["tool_choice"] == {"type": "none"}


def test_what_comes_again_with_the_next_request_is_marked_for_the_cache() -> None:
    form = MessagesFormat(model="claude", max_tokens=50, temperature=None)
    system = ChatMessage(role="system", text="Be brief.")
    body = encode(system, user("a"), assistant("b"), user("c"), form=form, tools=(LOOK,))
    mark = {"cache_control": {"type": "ephemeral"}}
    assert body["system"] == [{**text("Be brief."), **mark}]
    assert body["messages"][-1]["content"] == [{**text("c"), **mark}]
    assert json.dumps(body).count("cache_control") == 2
    assert "cache_control" in encode(user("a"), form=form, tools=(LOOK,))["tools"][0]


@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        (Sampling(), {"temperature": 0.5}),
        (Sampling(temperature=1.7), {"temperature": 1.0}),
        (Sampling(top_p=0.3), {"top_p": 0.3}),
        (Sampling(top_p=0.3, temperature=0.0), {"temperature": 0.0}),
        (Sampling(seed=3, presence_penalty=1.0), {"temperature": 0.5}),
    ],
)
def test_of_temperature_and_top_p_one_is_sent(sampling: Sampling, sent: dict[str, float]) -> None:
    body = encode(user("x"), sampling=sampling)
    assert {
        key: body[key] for key in body if key not in ("model", "max_tokens", "stream", "messages")
    } == sent


@pytest.mark.parametrize(
    ("message", "given"),
    [
        ("`temperature` is deprecated for this model", {"temperature": None}),
        ("system.0.cache_control: Extra inputs are not permitted", {"caches": False}),
        ("`top_p` is not supported", {"sends_top_p": False}),
        (
            "max_tokens: 50 > 40, which is the maximum allowed number of output tokens",
            {"max_tokens": 40},
        ),
        ("max_tokens: 50 > 60", None),
        ("messages: at least one message is required", None),
    ],
)
def test_what_is_refused_is_left_out_the_next_time(message: str, given: dict[str, Any] | None) -> None:
    form = MessagesFormat(model="claude", max_tokens=50, temperature=0.5)
    better = form.without_refused(ErrorBody(reason="invalid_request_error", message=message), form)
    assert better == (
        None
        if given is None
        else MessagesFormat(**{"model": "claude", "max_tokens": 50, "temperature": 0.5, **given})
    )
    if better is not None:
        assert better.without_refused(ErrorBody(message=message), better) is None


MESSAGES = st.builds(
    ChatMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    text=st.sampled_from(["", " ", "a", "b\n"]),
    tool_calls=st.lists(
        st.builds(
            ToolCall,
            call_id=st.sampled_from(["a", "b", "t/1.0"]),
            name=st.sampled_from(["look", "two words", ""]),
            arguments=st.sampled_from(["{}", "", '{"a":1}']),
        ),
        max_size=2,
        unique_by=lambda call: call.call_id,
    ).map(tuple),
    call_id=st.sampled_from([None, "a", "b", "t/1.0"]),
    name=st.sampled_from([None, "look"]),
)


@given(st.lists(MESSAGES, max_size=12))
def test_whatever_the_history_is_the_rules_of_the_api_hold(messages: list[ChatMessage]) -> None:
    body = encode(*messages)
    roles = [message["role"] for message in body["messages"]]
    assert (roles[0], roles[-1]) == ("user", "user")
    assert all(one != other for one, other in itertools.pairwise(roles))
    seen: set[str] = set()
    waiting: list[str] = []
    for message in body["messages"]:
        blocks = message["content"]
        assert blocks
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting)
        assert [block["type"] for block in blocks[: len(results)]] == ["tool_result"] * len(results)
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert not seen & set(waiting)
        seen |= set(waiting)
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        assert all(block["name"] for block in blocks if block["type"] == "tool_use")
    names = {tool["name"] for tool in body.get("tools", ())}
    used = {b["name"] for m in body["messages"] for b in m["content"] if b["type"] == "tool_use"}
    assert used == names
