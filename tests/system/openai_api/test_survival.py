"""What an OpenAI client sees when something dies in the middle, and what a provider behind the gateway is asked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    PermissionDeniedError,
    RateLimitError,
)

from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.openai_api.calling import ask, client, named, read, stream
from tests.system.providers.calling import KEY, reset, saying
from tests.system.providers.fake import Exchange, FakeProvider, Script

__all__: list[str] = []

Scene = Callable[[Gateway, FakeProvider, AsyncOpenAI], Awaitable[None]]


def play(make_gateway: GatewayFactory, scene: Scene, *scripts: Script, **config: Any) -> None:
    """Run a scene with a gateway whose provider follows the scripts; it must end in order."""
    provider = FakeProvider(*scripts)
    gateway = make_gateway(
        config={
            "llm": {
                "provider": "openai-compatible",
                "endpoint": provider.url,
                "model": "some-model",
                "retry_count": 0,
            },
            **config,
        },
        environment={"OPENAI_API_KEY": KEY},
        demo=False,
    ).start()

    async def run() -> None:
        async with asyncio.timeout(200), provider, client(gateway) as api:
            await scene(gateway, provider, api)

    asyncio.run(run())
    gateway.stop()


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


# Deaths


def test_what_dies_in_mid_stream_and_what_its_client_sees(gateway: Gateway) -> None:
    async def pid_of(name: str) -> int:
        return await asyncio.to_thread(gateway.pid_of, name)

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    async def scene() -> None:
        async with client(gateway) as api:
            # The session: its turn starts again in the same words, so the stream goes on where it was.
            await ask(api, "hi", user="main")
            pid = await pid_of("websocket:local:main")
            chunks = await stream(api, "/demo slow 1", user="main")
            for _ in range(4):
                await anext(chunks)
            kill(pid)
            assert await read(chunks) == (" 4 5 6 7 8 9 10", "stop")
            assert await pid_of("websocket:local:main") != pid

            # The router, and with it the session: the same.
            pid = await pid_of("router")
            chunks = await stream(api, "/demo slow 1", headers=named("main", "router"))
            await anext(chunks)
            kill(pid)
            assert await read(chunks) == ("1 2 3 4 5 6 7 8 9 10", "stop")

            # The model's process, without a session: what was said cannot be taken back.
            pid = await pid_of("model")
            chunks = await stream(api, "/demo slow 60")
            await anext(chunks)
            await anext(chunks)
            kill(pid)
            with pytest.raises(APIError) as caught:
                await read(chunks)
            assert caught.value.code == "stream_broken"
            assert text_of(await ask(api, "hi")) == "echo: hi"

            # The channel itself: the turn goes on, and the same key gets its answer.
            pid = await pid_of("http")
            chunks = await stream(api, "/demo slow 1.5", headers=named("main", "key"))
            await anext(chunks)
            kill(pid)
            with pytest.raises((APIConnectionError, APIError)):
                await read(chunks)

        async with client(gateway, max_retries=5) as api:
            answer = await ask(api, "/demo slow 1.5", headers=named("main", "key"))
            assert text_of(answer).endswith(" 15")
            assert text_of(await ask(api, "/demo recall", user="main")).startswith("turns=4 ")

            # Everything at once.
            chunks = await stream(api, "/demo slow 2", headers=named("main", "power"))
            await anext(chunks)
            await asyncio.to_thread(gateway.kill_all)
            with pytest.raises((APIConnectionError, APIError)):
                await read(chunks)
            await asyncio.to_thread(gateway.restart)
            answer = await ask(api, "/demo slow 2", headers=named("main", "power"))
            assert text_of(answer).endswith(" 20")
            assert text_of(await ask(api, "/demo recall", user="main")).startswith("turns=6 ")

    asyncio.run(scene())


def test_a_drain_lets_answers_end_and_tells_whom_it_leaves(gateway: Gateway) -> None:
    async def scene() -> None:
        async with client(gateway) as api:
            chunks = await stream(api, "/demo slow 1", user="main")
            plain = await stream(api, "/demo slow 1.5")
            await anext(chunks)
            await anext(plain)
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            assert (await read(chunks))[0].endswith(" 10")
            assert (await read(plain))[0].endswith(" 15")
            await stopping

            await asyncio.to_thread(gateway.restart)
            chunks = await stream(api, "/demo slow 3", headers=named("main", "left"))
            plain = await stream(api, "/demo slow 3")
            await anext(chunks)
            await anext(plain)
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop, "--grace", "0"))
            for left in (chunks, plain):
                with pytest.raises(APIError) as caught:
                    await read(left)
                assert caught.value.code == "draining"
            await stopping

            await asyncio.to_thread(gateway.restart)
            answer = await ask(api, "/demo slow 3", headers=named("main", "left"))
            assert text_of(answer).endswith(" 30")
            assert text_of(await ask(api, "/demo recall", user="main")).startswith("turns=2 ")

    asyncio.run(scene())


# In front of a provider


def test_what_a_provider_does_and_what_its_client_sees(make_gateway: GatewayFactory) -> None:
    """One gateway for all of it: each start of one takes seconds."""

    async def scene(gateway: Gateway, provider: FakeProvider, api: AsyncOpenAI) -> None:
        await starts_again_in_other_words(provider, api)
        await gets_what_the_request_wants(provider, api)
        await speaks_without_end_to_a_client_that_does_not_read(gateway, provider, api)

    play(make_gateway, scene, http={"send_timeout_seconds": 1})


async def starts_again_in_other_words(provider: FakeProvider, api: AsyncOpenAI) -> None:
    provider.scripts.append(saying("half an ", then=reset))
    chunks = await stream(api, "hello", headers=named("main", "k"))
    with pytest.raises(APIError) as caught:
        await read(chunks)
    assert caught.value.code == "answer_restarted"
    answer = await ask(api, "hello", headers=named("main", "k"))
    assert text_of(answer) == "echo: hello"
    assert len(provider.requests) == 2


async def gets_what_the_request_wants(provider: FakeProvider, api: AsyncOpenAI) -> None:
    async def cut_short(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.say("half a")
        await exchange.finish("length", usage={"prompt_tokens": 7, "completion_tokens": 3})

    provider.scripts.append(cut_short)
    assert [model.id async for model in api.models.list()] == ["some-model", "openclaw"]
    answer = await ask(
        api,
        [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hello"}],
        temperature=0,
        max_tokens=3,
        stop=["end"],
        seed=5,
        response_format={"type": "json_object"},
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 3)
    asked = provider.requests[-1].json
    assert asked["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
    ]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("some-model", 0.0, 3)
    assert (asked["stop"], asked["seed"]) == (["end"], 5)
    assert asked["response_format"] == {"type": "json_object"}


async def speaks_without_end_to_a_client_that_does_not_read(
    gateway: Gateway, provider: FakeProvider, api: AsyncOpenAI
) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.say("word " * 10_000)

    def connect() -> socket.socket:
        host, _, port = gateway.http_url.removeprefix("http://").rpartition(":")
        body = json.dumps({"messages": [{"role": "user", "content": "go"}], "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        slow = socket.create_connection((host, int(port)))
        slow.sendall(head.encode() + body)
        return slow

    provider.scripts.append(endless)
    before = len(provider.requests)
    with await asyncio.to_thread(connect):
        exchange = await provider.arrived(before + 1)
        await exchange.hung_up()
        await asyncio.to_thread(
            wait_until,
            # The other client's may be kept.
            lambda: gateway.nodes()["http"]["doing"] in ("0 connections", "1 connection"),
            what="the connection is closed",
        )
    assert text_of(await ask(api, "hi")) == "echo: hi"


# What is not taken


def test_a_store_that_cannot_write_takes_no_message_and_who_asks_too_often_waits(
    make_gateway: GatewayFactory,
) -> None:
    async def scene(gateway: Gateway) -> None:
        async with client(gateway) as api:
            with pytest.raises(APIStatusError) as caught:
                await ask(api, "x" * 2_000, user="main")
            assert (caught.value.status_code, caught.value.code) == (503, "persistence_failed")
            assert "Retry-After" in caught.value.response.headers
            assert text_of(await ask(api, "short", user="main")) == "echo: short"
            with pytest.raises(RateLimitError) as too_often:
                await ask(api, "third", user="main")
            assert too_often.value.code == "rate_limited"
            with pytest.raises(PermissionDeniedError) as rebound:  # a page whose name points at this machine
                await ask(api, "hi", headers={"Host": "evil.example"})
            assert rebound.value.code == "host_not_allowed"

    gateway = make_gateway(
        config={
            "memory": {"max_record_bytes": 1_000, "write_attempts": 1},
            "http": {"chat_requests_per_minute": 2},
        }
    ).start()
    asyncio.run(scene(gateway))
    gateway.stop()
