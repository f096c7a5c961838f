"""The real client against Anthropic's API, which its official client speaks, too; and the real actor and gateway."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import msgspec
import pytest
from anthropic.types import MessageCreateParams
from pydantic import TypeAdapter

from openclaw_actors.actors import board
from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.messages import CallFailed, ChatMessage, Complete, Completed, Ping, ToolCall, ToolSpec
from openclaw_actors.providers import Answer, CallError, create_caller
from openclaw_actors.providers.anthropic import MessagesFormat
from tests.system.actorsystem.stage import eventually, on_stage
from tests.system.providers.anthropic_server import AnthropicServer, Step
from tests.system.providers.anthropic_streams import (
    STREAMS,
    delta,
    error,
    start,
)
from tests.system.providers.calling import Said, request
from tests.system.providers.test_model_actor import Scene

__all__: list[str] = []

KEY = "sk-ant-0123456789abcdef"
OVERLOADED: Step = {"status": 529, "error": ["overloaded_error", "Overloaded"]}
OUT_OF_REACH = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."


@pytest.fixture
def server() -> Iterator[AnthropicServer]:
    with AnthropicServer(key=KEY) as server:
        yield server


def llm(server: AnthropicServer, **given: Any) -> LlmConfig:
    defaults = {
        "provider": "anthropic",
        "endpoint": server.url,
        "model": "claude-a",
        "api_key": "env:ANTHROPIC_API_KEY",
        "api_version": "2026-10-21",
        "timeout_seconds": 15,
        "retry_backoff_seconds": 0.01,
        "retry_backoff_max_seconds": 0.02,
    }
    return msgspec.convert({**defaults, **given}, LlmConfig)


def ask(
    server: AnthropicServer, asked: Complete | None = None, said: Said | None = None, **given: Any
) -> Answer:
    async def scene() -> Answer:
        caller = create_caller(llm(server, **given), KEY)
        try:
            return await caller.complete(asked or request(), (Said() if said is None else said).append)
        finally:
            await caller.close()

    return asyncio.run(scene())


def fail(server: AnthropicServer, said: Said | None = None, **given: Any) -> CallError:
    with pytest.raises(CallError) as failure:
        ask(server, said=said, **given)
    return failure.value


def official(server: AnthropicServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=KEY, base_url=server.url, max_retries=0)


# The client


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_the_official_client_reads_the_same_in_each_stream(server: AnthropicServer, name: str) -> None:
    server.follow(always={"events": STREAMS[name]})
    with (
        official(server) as client,
        client.messages.stream(
            model="claude-a", max_tokens=50, messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        theirs = stream.get_final_message()
    blocks: list[Any] = list(theirs.content)
    text = "".join(each.text for each in blocks if each.type == "text")
    calls = [(each.id, each.name, each.input) for each in blocks if each.type == "tool_use"]
    if name == "refusal":
        assert "content filter" in fail(server).text
        return
    ours = ask(server)
    assert ours.text == text
    assert [(each.call_id, each.name, json.loads(each.arguments)) for each in ours.tool_calls] == calls
    usage = theirs.usage
    assert ours.usage.output_tokens == usage.output_tokens
    assert ours.usage.input_tokens == (
        usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    )


def test_a_request_is_what_the_official_client_would_take() -> None:
    messages = (
        ChatMessage(role="system", text="Be brief."),
        ChatMessage(role="user", text="Look."),
        ChatMessage(
            role="assistant",
            text="I look.",
            tool_calls=(
                ToolCall(call_id="a", name="look", arguments='{"at": 1}'),
                ToolCall(call_id="b/1", name="look", arguments="oops"),
            ),
        ),
        ChatMessage(role="tool", text="1", call_id="a", name="look"),
    )
    tool = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})
    form = MessagesFormat(model="claude-a", max_tokens=50, temperature=None)
    for tools in ((tool,), ()):
        asked = Complete(call_id="c", session="s", correlation_id="k", messages=messages, tools=tools)
        body = json.loads(form.encode(asked))
        TypeAdapter(MessageCreateParams).validate_python(body, strict=True)


def test_the_fake_is_as_strict_as_the_real_one_and_the_client_is_taken(server: AnthropicServer) -> None:
    history = (
        ChatMessage(role="assistant", text="Before. "),
        ChatMessage(role="user", text=" "),
        ChatMessage(
            role="assistant", text="", tool_calls=(ToolCall(call_id="t/1.0", name="look", arguments="{"),)
        ),
        ChatMessage(role="user", text="Well?"),
    )
    asked = Complete(call_id="c", session="s", correlation_id="k", messages=history)
    said = Said()
    assert ask(server, asked, said).text == "echo: Well?"
    assert said == ["echo: ", "Well?"]
    (sent,) = server.requests()
    assert (sent["model"], sent["stream"], sent["max_tokens"]) == ("claude-a", True, 4096)
    with official(server) as client, pytest.raises(anthropic.BadRequestError):
        client.messages.create(
            model="claude-a", max_tokens=5, messages=[{"role": "assistant", "content": "hi"}]
        )


def test_an_overloaded_provider_is_asked_again(server: AnthropicServer) -> None:
    server.follow(OVERLOADED, {"events": [start(), error("overloaded_error", "Overloaded")]})
    assert ask(server).text == "echo: hi"
    assert len(server.requests()) == 3


def test_a_pause_that_is_asked_for_is_kept(server: AnthropicServer) -> None:
    limited = {"status": 429, "error": ["rate_limit_error", "slow down"], "headers": {"retry_after": "0.4"}}
    server.follow(limited)
    began = time.monotonic()
    assert ask(server).text == "echo: hi"
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize(
    ("step", "code", "says", "asked"),
    [
        ({"status": 401, "error": ["authentication_error", "x"]}, "configuration", "API key", 1),
        ({"status": 403, "error": ["permission_error", "x"]}, "configuration", "'claude-a'", 1),
        ({"status": 404, "error": ["not_found_error", "model: x"]}, "configuration", "'claude-a'", 1),
        (
            {"status": 400, "error": ["invalid_request_error", "Your credit balance is too low"]},
            "configuration",
            "no credit",
            1,
        ),
        (
            {"status": 400, "error": ["invalid_request_error", "prompt is too long: 3 tokens > 2 maximum"]},
            "provider",
            "too long",
            1,
        ),
        ({"status": 413, "error": ["request_too_large", "x"]}, "provider", "too long", 1),
        ({"status": 500, "error": ["api_error", "x"]}, "provider", OUT_OF_REACH, 4),
        ({"events": [start(), error("api_error", "x")]}, "provider", OUT_OF_REACH, 4),
        ({"events": [start(), error("invalid_request_error", "x")]}, "provider", "rejected", 1),
    ],
    ids=range(9),
)
def test_refusals(server: AnthropicServer, step: Step, code: str, says: str, asked: int) -> None:
    server.follow(always=step)
    failure = fail(server)
    assert failure.code == code
    assert says in failure.text
    assert len(server.requests()) == asked
    assert KEY not in f"{failure} {failure.detail}"


@pytest.mark.parametrize(
    "step",
    [
        {"events": [start(), delta(0, "text_delta", text="half"), error("overloaded_error", "x")]},
        {"events": [start(), delta(0, "text_delta", text="half")]},
        {"events": [start(), delta(0, "text_delta", text="half")], "then": "reset"},
    ],
    ids=["error", "end", "reset"],
)
def test_a_stream_that_breaks_in_the_middle_is_a_failure_and_is_not_repeated(
    server: AnthropicServer, step: Step
) -> None:
    server.follow(step)
    said = Said()
    assert fail(server, said).code == "stream_broken"
    assert said == ["half"]
    assert len(server.requests()) == 1


def test_what_a_model_refuses_it_is_not_sent_again(server: AnthropicServer) -> None:
    server.follow(
        {"status": 400, "error": ["invalid_request_error", "`temperature` is deprecated for this model."]},
        {"status": 400, "error": ["invalid_request_error", "max_tokens: 4096 > 99, which is the maximum"]},
    )
    assert ask(server, api_version="2023-06-01").text == "echo: hi"
    assert [("temperature" in each, each["max_tokens"]) for each in server.requests()] == [
        (True, 4096),
        (False, 4096),
        (False, 99),
    ]


@pytest.mark.parametrize(
    ("model", "key", "result"),
    [("claude-sonnet-5-5", KEY, "ok"), ("gpt-4o", KEY, "unlisted"), ("claude-a", "sk-ant-other", "key")],
)
def test_a_probe_knows_aliases(server: AnthropicServer, model: str, key: str, result: str) -> None:
    async def scene() -> None:
        caller = create_caller(llm(server, model=model), key)
        assert (await caller.probe(timeout_s=5.0)).result == result
        await caller.close()

    asyncio.run(scene())
    assert server.requests() == []


# The actor


def test_the_actor_counts_each_model_and_says_who_answers(server: AnthropicServer) -> None:
    async def play(system: Any, _puppet: Any) -> None:
        scene = Scene(system)
        await scene.start(
            secrets={"llm.api_key": f"raw:{KEY}"},
            **msgspec.to_builtins(
                llm(
                    server,
                    circuit_breaker_threshold=2,
                    fallbacks=[{"model": "claude-b"}],
                    models={"fast": {"model": "claude-c"}},
                )
            ),
        )
        server.follow(OVERLOADED, OVERLOADED)

        async def answer(call_id: str, model: str | None = None) -> Any:
            asked = request("hi", model=model, turn=call_id)
            scene.say(msgspec.structs.replace(asked, call_id=call_id))
            found: list[Any] = []

            async def answered() -> bool:
                found[:] = [
                    each
                    for each in await scene.answers()
                    if isinstance(each, Completed | CallFailed) and each.call_id == call_id
                ]
                return bool(found)

            await eventually(answered, timeout_s=30.0)
            return found[0]

        assert (await answer("1")).model == "claude-b"
        assert (await answer("2", "fast")).model == "fast"
        unknown = await answer("3", "nobody")
        assert unknown.code == "unknown_model"
        assert unknown.text.endswith("Please choose one of: claude-a, fast.")
        assert [each["model"] for each in server.requests()] == [
            "claude-a",
            "claude-a",
            "claude-b",
            "claude-c",
        ]
        pong = await scene.ask(scene.model, Ping())
        assert pong.doing == "idle, circuit open: claude-a, claude-b answers"
        found = {**counted.values(), **pong.gauges}
        wanted = {
            'llm_model_calls_total{model="claude-a",result="provider"}': 1,
            'llm_model_calls_total{model="claude-b",result="ok"}': 1,
            'llm_model_calls_total{model="fast",result="ok"}': 1,
            'llm_model_tokens_total{direction="input",model="claude-b"}': 11,
            'llm_model_tokens_total{direction="output",model="claude-b"}': 6,
            'llm_model_circuit_state{model="claude-a"}': 1,
            'llm_model_circuit_state{model="claude-b"}': 0,
            "llm_fallbacks_total": 1,
            "llm_retries_total": 1,
            'llm_calls_total{result="ok"}': 2,
            'llm_calls_total{result="unknown_model"}': 1,
            'llm_tokens_total{direction="input"}': 22,
        }
        assert {name: found.get(name) for name in wanted} == wanted

    counted = board.install()  # before the fork
    on_stage(play)
