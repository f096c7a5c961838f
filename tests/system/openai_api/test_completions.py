"""OpenAI's own client against a real gateway: what works as its users expect, and what is refused, and how."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any

import aiohttp
import pytest
from openai import APIStatusError, AuthenticationError, NotFoundError, RateLimitError

from tests.system.client import Client
from tests.system.gateway import Gateway, wait_until
from tests.system.openai_api.calling import ask, client, named, read, stream

__all__: list[str] = []

ALICE = {"Authorization": "Bearer alice-token"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def model_is_idle(gateway: Gateway) -> bool:
    return str(gateway.nodes()["model"]["doing"]) == "idle"


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


# Without a session


def test_the_models(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            assert [model.id async for model in api.models.list()] == ["demo", "openclaw"]
            assert (await api.models.retrieve("openclaw/default")).owned_by == "openclaw"
            for wrong in (api.models.retrieve("gpt-5"), ask(api, "hi", model="gpt-5")):
                with pytest.raises(NotFoundError) as caught:
                    await wrong
                assert caught.value.code == "model_not_found"

    asyncio.run(scene())


def test_without_a_session_the_list_is_the_conversation(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            said = [user("first"), assistant("a"), user("second"), assistant("b"), user("/demo recall")]
            for _ in range(2):  # nothing is kept from one to the next
                answer = await ask(api, said)
                assert text_of(answer) == "turns=2 first=first last=second"
                assert answer.choices[0].finish_reason == "stop"
                assert answer.usage is not None
                assert answer.usage.prompt_tokens == 6
                assert answer.usage.completion_tokens == 3

    asyncio.run(scene())
    assert "http:" not in json.dumps(shared.status())


def test_a_stream_comes_as_the_model_speaks(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            chunks = await stream(api, "/demo slow 1", stream_options={"include_usage": True})
            first = await anext(chunks)
            assert first.choices[0].delta.role == "assistant"
            assert (await anext(chunks)).choices[0].delta.content == "1"
            began = time.monotonic()
            events = [chunk async for chunk in chunks]
            assert time.monotonic() - began > 0.5
            assert events[-2].choices[0].finish_reason == "stop"
            assert events[-1].choices == []
            assert events[-1].usage is not None
            assert events[-1].usage.completion_tokens == 10

    asyncio.run(scene())


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_goes_away_ends_its_call(shared: Gateway, *, streams: bool) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            if streams:
                chunks = await stream(api, "/demo slow 60")
                await anext(chunks)
                await chunks.close()
            else:
                asking = asyncio.create_task(ask(api, "/demo slow 60"))
                await asyncio.to_thread(
                    wait_until, lambda: not model_is_idle(shared), what="the call has begun"
                )
                asking.cancel()
        await asyncio.to_thread(wait_until, lambda: model_is_idle(shared), what="the call is cancelled")

    asyncio.run(scene())


def test_a_silent_stream_shows_that_it_lives(shared: Gateway) -> None:
    async def scene() -> None:
        body = {"messages": [user("/demo hang")], "stream": True}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{shared.http_url}/v1/chat/completions", json=body, headers=ALICE) as answer,
        ):
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            first = await answer.content.readline()
            assert json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"]["role"] == "assistant"
            await answer.content.readline()
            for _ in range(2):
                assert await answer.content.readline() == b": keep-alive\n"
                await answer.content.readline()

    asyncio.run(scene())


# What is refused


def test_who_shows_no_token_is_told_in_openais_words(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "wrong") as api:
            with pytest.raises(AuthenticationError) as caught:
                await ask(api, "hi")
            assert caught.value.code == "invalid_api_key"
            assert caught.value.request_id

    asyncio.run(scene())


HI = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("POST", "embeddings", {"json": {}}, 404, "unknown_url"),
        ("GET", "chat/completions", {}, 405, "method_not_allowed"),
        ("POST", "chat/completions", {"data": b"{"}, 400, "invalid_json"),
        ("POST", "chat/completions", {"data": io.BytesIO(b"x" * 1_048_577)}, 413, "body_too_large"),
        ("POST", "chat/completions", {"json": {}}, 400, "missing_required_parameter"),
        (
            "POST",
            "chat/completions",
            {"json": HI, "headers": {"Origin": "https://evil.example"}},
            403,
            "origin_not_allowed",
        ),
        ("POST", "chat/completions", {"json": HI, "headers": named("a" * 129)}, 400, "session_id_invalid"),
    ],
)
def test_every_refusal_is_openais_error(
    shared: Gateway, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    async def scene() -> None:
        headers = {**ALICE, **options.pop("headers", {})}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"{shared.http_url}/v1/{path}", headers=headers, **options) as answer,
        ):
            error = (await answer.json())["error"]
            assert (answer.status, error["code"]) == (status, code)
            assert error.keys() == {"message", "type", "param", "code"}
            assert answer.headers["x-request-id"]
            if status == 405:
                assert answer.headers["Allow"] == "POST, OPTIONS"

    asyncio.run(scene())


def test_a_page_of_an_allowed_origin_may_ask_and_read(shared: Gateway) -> None:
    async def scene() -> None:
        url, origin = f"{shared.http_url}/v1/chat/completions", {"Origin": "https://chat.example"}
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        async with aiohttp.ClientSession() as http:
            async with http.options(url, headers={**origin, **asks}) as answer:
                assert answer.status == 204
                assert answer.headers["Access-Control-Allow-Origin"] == "https://chat.example"
                assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
            async with http.options(url, headers={"Origin": "https://evil.example", **asks}) as answer:
                assert "Access-Control-Allow-Origin" not in answer.headers
            for streams in (False, True):
                body = {**HI, "stream": streams}
                async with http.post(url, json=body, headers={**ALICE, **origin}) as answer:
                    assert answer.status == 200
                    assert answer.headers["Access-Control-Allow-Origin"] == "https://chat.example"

    asyncio.run(scene())


def test_a_model_that_fails_is_an_error_before_the_stream_and_no_session_hides_it(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            for headers, retry in ((None, None), (named("failing"), "false")):
                for streams in (False, True):
                    await ask(api, "/demo fail 1")
                    with pytest.raises(APIStatusError) as caught:
                        await ask(api, "hi", headers=headers, stream=streams)
                    assert caught.value.status_code >= 500
                    assert caught.value.code
                    assert caught.value.response.headers.get("x-should-retry") == retry

    asyncio.run(scene())


# With a session


def test_two_requests_are_one_conversation_also_over_the_websocket(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            assert text_of(await ask(api, "one", user="talk")) == "echo: one"
            chunks = await stream(api, "two", headers=named("talk"), user="ignored")
            assert await read(chunks) == ("echo: two", "stop")
        async with Client(shared.ws_url, session="talk", token="alice-token") as web:
            assert (await web.turn("/demo recall"))["text"] == "turns=2 first=one last=two"

    asyncio.run(scene())


def test_a_tool_that_needs_approval_waits_for_a_decision_elsewhere(shared: Gateway) -> None:
    tool = '/demo tool project_memory {"action": "list"}'

    async def scene() -> None:
        async with (
            client(shared, "alice-token") as api,
            Client(shared.ws_url, session="asks", token="alice-token") as web,
        ):
            await web.turn("hello")
            answer = asyncio.create_task(ask(api, tool, user="asks"))
            await web.expect("tool_approval_required")
            decided = await ask(api, "/approve", user="asks")
            assert text_of(decided) == "project_memory was approved and runs."
            assert "No project memory saved yet." in text_of(await answer)

            chunks = await stream(api, tool, headers=named("asks"))
            asked = await web.expect("tool_approval_required")
            decision = {"approvalId": asked["approvalId"], "approved": False}
            await web.send_raw({"type": "tool_approval_decision", **decision})
            text, reason = await read(chunks)
            assert (reason, "Tool execution denied by user." in text) == ("stop", True)

    asyncio.run(scene())


def test_a_whole_list_that_is_sent_again_doubles_nothing(shared: Gateway) -> None:
    async def scene() -> None:
        said: list[dict[str, Any]] = [{"role": "system", "content": "be kind"}]
        async with client(shared, "alice-token") as api:
            for text in ("one", "two", "three"):
                said.append(user(text))
                said.append(assistant(text_of(await ask(api, said, user="whole"))))
            answer = await ask(api, [*said, user("/demo recall")], user="whole")
            assert text_of(answer) == "turns=3 first=one last=three"

    asyncio.run(scene())


def test_the_usage_is_the_requests_own(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            used = [(await ask(api, "four words for you", user="usage")).usage for _ in range(3)]
            assert [usage.completion_tokens for usage in used if usage] == [5, 5, 5]

    asyncio.run(scene())


def test_nobody_reaches_the_session_of_another(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as alice, client(shared, "bob-token") as bob:
            await ask(alice, "my secret", user="main")
            for name in ("main", "alice:main", "websocket:alice:main", "../alice/main"):
                assert text_of(await ask(bob, "/demo recall", user=name)) == "turns=0 first= last="
            assert (
                text_of(await ask(alice, "/demo recall", user="main"))
                == "turns=1 first=my secret last=my secret"
            )

    asyncio.run(scene())


def test_a_message_that_is_sent_again_is_one_turn_with_one_answer(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            running = [
                asyncio.create_task(ask(api, "/demo slow 0.5", headers=named("again", "k1")))
                for _ in range(3)
            ]
            answers = [
                *await asyncio.gather(*running),
                await ask(api, "/demo slow 0.5", headers=named("again", "k1")),
            ]
            assert {text_of(answer) for answer in answers} == {"1 2 3 4 5"}
            assert len({answer.id for answer in answers}) == 1
            chunks = await stream(api, "/demo slow 0.5", headers=named("again", "k1"))
            assert await read(chunks) == ("1 2 3 4 5", "stop")
            with pytest.raises(APIStatusError) as caught:
                await ask(api, "other words", headers=named("again", "k1"))
            assert (caught.value.status_code, caught.value.code) == (409, "message_id_conflict")
            assert text_of(await ask(api, "/demo recall", user="again")).startswith("turns=1 ")

    asyncio.run(scene())


def test_what_the_client_tries_again_by_itself_is_one_turn(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token", max_retries=2) as api:
            answer = await ask(api.with_options(timeout=1.0), "/demo slow 1.5", user="retried")
            assert text_of(answer).endswith(" 15")
            assert text_of(await ask(api, "/demo recall", user="retried")).startswith("turns=1 ")

    asyncio.run(scene())


def test_a_turn_goes_on_when_its_client_is_gone(shared: Gateway) -> None:
    async def scene() -> None:
        async with client(shared, "alice-token") as api:
            chunks = await stream(api, "/demo slow 1", headers=named("left", "k"))
            await anext(chunks)
            await chunks.close()
            answer = await ask(api, "/demo slow 1", headers=named("left", "k"))
            assert text_of(answer) == "1 2 3 4 5 6 7 8 9 10"
            assert text_of(await ask(api, "/demo recall", user="left")).startswith("turns=1 ")

    asyncio.run(scene())


def test_a_stopped_turn_ends_with_what_was_said(shared: Gateway) -> None:
    async def scene() -> None:
        async with (
            client(shared, "alice-token") as api,
            Client(shared.ws_url, session="stopped", token="alice-token") as web,
        ):
            chunks = await stream(api, "/demo slow 60", user="stopped")
            await anext(chunks)
            await web.stop_turn()
            text, reason = await read(chunks)
            assert text.startswith("1")
            assert reason == "stop"

    asyncio.run(scene())


def test_fifty_clients_at_once(shared: Gateway) -> None:
    async def one(number: int) -> None:
        name = f"crowd-{number % 25}"  # two share each session
        async with client(shared, "alice-token", max_retries=3) as api:
            if number % 2:
                assert text_of(await ask(api, f"I am {number}", user=name)) == f"echo: I am {number}"
            else:
                chunks = await stream(api, f"I am {number}", user=name)
                assert await read(chunks) == (f"echo: I am {number}", "stop")

    async def scene() -> None:
        async with asyncio.timeout(200):
            await asyncio.gather(*(one(number) for number in range(50)))
        async with client(shared, "alice-token") as api:
            for number in (0, 24):
                assert text_of(await ask(api, "/demo recall", user=f"crowd-{number}")).startswith("turns=2 ")

    asyncio.run(scene())


def test_a_full_mailbox_is_a_429_with_the_time_to_wait(shared: Gateway) -> None:
    async def scene() -> None:
        async with (
            client(shared, "alice-token") as api,
            Client(shared.ws_url, session="full", token="alice-token") as web,
        ):
            await web.send("/demo slow 60")
            await web.expect("turn_started")
            for _ in range(32):
                await web.send("wait")
            for _ in range(32):
                await web.expect("message_accepted")
            with pytest.raises(RateLimitError) as caught:
                await ask(api, "one more", user="full")
            assert (caught.value.code, caught.value.response.headers["Retry-After"]) == ("busy", "1")
            await web.stop_turn(queue=True)
            await web.expect("turn_done", text="")

    asyncio.run(scene())
