"""What the real client sends over HTTP, and what it makes of answers, whole, odd or garbage."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ToolCall, ToolSpec
from openclaw_actors.providers import Answer, CallError, create_caller
from tests.system.providers.calling import (
    KEY,
    Said,
    ask,
    call,
    config,
    fail,
    play,
    request,
    saying,
    sending,
)
from tests.system.providers.fake import Exchange, FakeProvider, Script

__all__: list[str] = []

# What is sent


def test_the_request() -> None:
    async def scene(provider: FakeProvider) -> None:
        tool = ToolSpec(name="look", description="Look.", parameters={"type": "object"})
        await call(create_caller(config(provider, max_tokens=7), KEY), request(tools=(tool,)))

        (sent,) = provider.requests
        assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
        assert sent.headers["authorization"] == f"Bearer {KEY}"
        assert sent.headers["user-agent"].startswith("openclaw-actors/")
        assert sent.json == {
            "model": "m1",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 7,
            "temperature": 0.7,
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}},
                }
            ],
        }

    play(scene)


def test_azure_by_deployment_version_and_api_key_header() -> None:
    async def scene(provider: FakeProvider) -> None:
        azure = config(
            f"http://127.0.0.1:{provider.port}", provider="azure-openai", model="my gpt", api_version="v9"
        )
        answer = await call(create_caller(azure, KEY))

        (sent,) = provider.requests
        assert answer.text == "echo: hi"
        assert sent.path == "/openai/deployments/my%20gpt/chat/completions?api-version=v9"
        assert sent.headers["api-key"] == KEY
        assert "authorization" not in sent.headers

    play(scene)


def test_ollama_needs_no_key() -> None:
    async def scene(provider: FakeProvider) -> None:
        endpoint = f"http://127.0.0.1:{provider.port}/"
        answer = await call(create_caller(config(endpoint, provider="ollama"), None))

        assert answer.text == "echo: hi"
        assert provider.requests[0].path == "/v1/chat/completions"

    play(scene)


def test_a_large_request_arrives_whole() -> None:
    text = "ä€🙂" * 700_000

    async def scene(provider: FakeProvider) -> None:
        async def count(exchange: Exchange) -> None:
            await exchange.answer(str(len(exchange.question)))

        provider.default = count
        assert (await call(create_caller(config(provider), KEY), request(text))).text == str(len(text))

    play(scene)


def test_what_cannot_be_encoded_fails_alone() -> None:
    async def scene(provider: FakeProvider) -> None:
        caller = create_caller(config(provider), KEY)
        with pytest.raises(CallError) as failure:
            await caller.complete(request("half a pair: \ud83d"), Said().append)
        assert not failure.value.retryable
        assert (await call(caller)).text == "echo: hi"

    play(scene)


# What is read


def test_deltas_are_passed_on_while_the_provider_still_speaks() -> None:
    said = Said()

    async def wait_until_read(exchange: Exchange) -> None:
        await said.until("one")  # else it would never say the second
        await exchange.say(" two")
        await exchange.finish()

    answer = ask(saying("one", then=wait_until_read), said=said)

    assert answer.text == "one two"
    assert said == ["one", " two"]


def test_characters_that_are_cut_between_packets() -> None:
    text = "Grüße, 世界 🙂"
    said = Said()

    async def byte_by_byte(exchange: Exchange) -> None:
        await exchange.head()
        for byte in f'data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]}}\n\n'.encode():
            await exchange.send(bytes([byte]))
            await asyncio.sleep(0)
        await exchange.finish()

    assert ask(byte_by_byte, said=said).text == text
    assert said == [text]


def test_crlf_comments_and_other_fields() -> None:
    answer = ask(
        sending(
            ": keep-alive\r\n\r\n",
            'event: message\r\nid: 1\r\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\r\n\r\n',
            ": keep-alive\r\n\r\n",
            'data:{"choices":[{"delta":{"content":"a"}}]}\r\n\r\n',
            'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n',
        )
    )

    assert answer.text == "a"


def test_an_answer_that_does_not_say_done() -> None:
    async def end_without_done(exchange: Exchange) -> None:
        await exchange.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        await exchange.end()

    assert ask(saying("all", then=end_without_done)).text == "all"


def test_an_answer_that_says_its_end_and_then_nothing_is_not_waited_for_for_long() -> None:
    async def stay(exchange: Exchange) -> None:
        await exchange.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        await exchange.hung_up()

    began = time.monotonic()
    assert ask(saying("all", then=stay)).text == "all"
    assert time.monotonic() - began < 12


def test_a_whole_document_instead_of_a_stream() -> None:
    async def document(exchange: Exchange) -> None:
        await exchange.refuse(
            200,
            {
                "choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2},
            },
        )

    said = Said()
    assert ask(document, said=said) == Answer(
        text="all at once", usage=Usage(input_tokens=1, output_tokens=2)
    )
    assert said == ["all at once"]


def test_usage_is_counted_or_estimated() -> None:
    counted = ask(lambda e: e.answer("abcd", usage={"prompt_tokens": 11, "completion_tokens": 22}))
    estimated = ask(lambda e: e.answer("abcde"), asked=request("x" * 40))

    assert counted.usage == Usage(input_tokens=11, output_tokens=22)
    assert estimated.usage == Usage(input_tokens=10, output_tokens=2)


def test_tool_calls_are_assembled_from_their_pieces() -> None:
    def piece(index: int, **fields: Any) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [{"index": index, **fields}]}}]}

    async def call_tools(exchange: Exchange) -> None:
        await exchange.event(piece(0, id="a", type="function", function={"name": "look", "arguments": ""}))
        await exchange.event(piece(1, id="b", type="function", function={"name": "go", "arguments": "{"}))
        await exchange.event(piece(0, function={"arguments": '{"at":'}))
        await exchange.event(piece(1, function={"arguments": "}"}))
        await exchange.event(piece(0, function={"arguments": '"ü"}'}))
        await exchange.finish("tool_calls")

    answer = ask(saying(then=call_tools))

    assert answer.text == ""
    assert answer.tool_calls == (
        ToolCall(call_id="a", name="look", arguments='{"at":"ü"}'),
        ToolCall(call_id="b", name="go", arguments="{}"),
    )


@pytest.mark.parametrize(
    ("reason", "explains"), [("length", "llm.max_tokens"), ("content_filter", "content filter")]
)
def test_an_answer_that_was_cut_short(reason: str, explains: str) -> None:
    def cut(*texts: str) -> Script:
        return saying(*texts, then=lambda exchange: exchange.finish(reason))

    assert ask(cut("as far as ")).text == "as far as "
    failure, provider, caller = fail(cut())
    assert explains in failure.text
    assert len(provider.requests) == 1
    assert caller.breaker.failures == 0


def test_one_connection_serves_call_after_call() -> None:
    async def scene(provider: FakeProvider) -> None:
        caller = create_caller(config(provider), KEY)
        for _ in range(5):
            assert (await caller.complete(request(), Said().append)).text == "echo: hi"
        await caller.close()
        assert provider.connections == 1

    play(scene)


# Garbage


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Sign in to the Wi-Fi</body></html>",
        "hello",
        "data: hello\n\n",
        "data: <html>\n\n",
        'data: {"status": "ok"}\n\ndata: [DONE]\n\n',
        "data: [DONE]\n\n",
        '{"status": "ok"}',
        '{"choices": []}',
        '{"choices": "none"}',
        "[1, 2]",
        "{",
        "\x00\xff\xfe",
    ],
)
def test_garbage_is_a_failure_and_not_an_empty_answer(body: str) -> None:
    failure, provider, caller = fail(sending(body))

    assert failure.code == "provider"
    assert failure.text.startswith("Sorry, I'm having trouble reaching my AI provider")
    assert len(provider.requests) == 1
    assert caller.breaker.failures == 1


def test_garbage_in_the_middle_breaks_the_answer() -> None:
    said = Said()
    failure, provider, caller = fail(
        saying("half", then=lambda exchange: exchange.send("data: <html>\n\n")), said=said
    )

    assert failure.code == "stream_broken"
    assert said == ["half"]
    assert len(provider.requests) == 1
    assert caller.breaker.failures == 1


def test_what_is_not_http() -> None:
    failure, _, _ = fail(lambda exchange: exchange.bytes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), retry_count=0)
    assert failure.code == "provider"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_line_that_never_ends_has_a_limit(streamed: bool) -> None:
    async def pour(exchange: Exchange) -> None:
        if streamed:
            await exchange.say("half")
        await exchange.send("data: ")
        while True:
            await exchange.send(b"x" * 65_536)

    failure, provider, caller = fail(saying(then=pour))

    assert failure.code == "provider"
    assert "llm.max_response_bytes" in failure.text
    assert len(provider.requests) == 1, "it would be as long the next time"
    assert caller.breaker.failures == 1


@pytest.mark.parametrize("piece", [": comment\n\n", 'data: {"choices":[{"delta":{"content":"again "}}]}\n\n'])
def test_an_answer_that_never_ends_has_a_limit(piece: str) -> None:
    async def pour(exchange: Exchange) -> None:
        while True:
            await exchange.send(piece * 100)

    failure, provider, _ = fail(saying(then=pour), max_response_bytes=1_000_000)

    assert "llm.max_response_bytes" in failure.text
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("error", "code", "attempts"),
    [
        ({"message": "overloaded", "type": "server_error"}, "provider", 2),
        ({"message": "slow down", "code": 429}, "provider", 2),
        ("something", "provider", 2),
        ({"message": "no", "code": "insufficient_quota"}, "configuration", 1),
        ({"message": f"bad key {KEY}", "code": 401}, "configuration", 1),
        ({"message": "too long", "code": "context_length_exceeded"}, "provider", 1),
    ],
)
@pytest.mark.parametrize("streaming", [True, False])
def test_an_error_inside_of_an_answer(error: Any, code: str, attempts: int, streaming: bool) -> None:
    async def report(exchange: Exchange) -> None:
        if streaming:
            await exchange.head()
            await exchange.event({"error": error})
            await exchange.end()
        else:
            await exchange.refuse(200, {"error": error})

    failure, provider, _ = fail(report, report, retry_count=1)

    assert failure.code == code
    assert len(provider.requests) == attempts
    assert KEY not in f"{failure} {failure.text}"


def test_an_error_after_the_first_words_breaks_the_answer() -> None:
    said = Said()
    failure, provider, caller = fail(
        saying("half", then=lambda exchange: exchange.event({"error": {"type": "server_error"}})), said=said
    )

    assert failure.code == "stream_broken"
    assert said == ["half"]
    assert len(provider.requests) == 1
    assert caller.breaker.failures == 1
