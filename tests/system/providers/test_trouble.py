"""The real client against providers that refuse, break off, stall or cannot be reached."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable
from email.utils import formatdate

import pytest

from openclaw_actors.core.breaker import BreakerState
from openclaw_actors.providers import Answer, CallError, create_caller
from openclaw_actors.providers.client import HttpProvider
from openclaw_actors.providers.endpoints import target_for
from tests.system.providers.calling import (
    KEY,
    PEM,
    Said,
    ask,
    call,
    comment_and_hang,
    config,
    fail,
    hang,
    play,
    refusing,
    request,
    reset,
    saying,
)
from tests.system.providers.fake import Exchange, FakeProvider, Script

__all__: list[str] = []

# Connections


@pytest.mark.parametrize("ending", [reset, lambda exchange: exchange.end()])
def test_half_a_stream_is_a_failure_that_the_call_does_not_repeat(ending: Script) -> None:
    said = Said()
    failure, provider, caller = fail(saying("half", then=ending), said=said)

    assert failure.code == "stream_broken"
    assert said == ["half"]
    assert len(provider.requests) == 1
    assert caller.breaker.failures == 1


def test_a_model_that_asks_for_too_many_tools_is_no_provider_in_trouble() -> None:
    async def ask_for_all(exchange: Exchange) -> None:
        await exchange.head()
        for number in range(129):
            function = {"name": "memory", "arguments": "{}"}
            piece = {"index": number, "id": f"c{number}", "type": "function", "function": function}
            await exchange.event({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]})
        await exchange.finish("tool_calls")

    failure, provider, caller = fail(ask_for_all)
    assert (failure.code, failure.text) == (
        "provider",
        "The model asked for too many tools at once, and its answer was given up. Please ask for less at a time.",
    )
    assert len(provider.requests) == 1, "another attempt would cost as much"
    assert caller.breaker.failures == 0, "what one conversation's model wants is in nobody else's way"


@pytest.mark.parametrize("ending", [reset, lambda exchange: exchange.end()])
def test_a_stream_that_breaks_before_its_first_word_is_repeated(ending: Script) -> None:
    assert ask(saying(then=ending)).text == "echo: hi"


def test_a_connection_that_is_reset_without_an_answer_is_repeated() -> None:
    async def scene(provider: FakeProvider) -> None:
        caller = create_caller(config(provider), KEY)
        assert (await call(caller)).text == "echo: hi"
        assert caller.retried == 2

    play(scene, reset, reset)


def test_a_refused_connection() -> None:
    async def scene() -> None:
        provider = FakeProvider()
        provider._socket.close()
        caller = create_caller(config(provider, retry_count=1), KEY)
        with pytest.raises(CallError, match="ClientConnectorError") as failure:
            await call(caller)
        assert failure.value.code == "provider"
        assert caller.retried == 1
        assert caller.breaker.failures == 2

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ("http://no-such-host.invalid/v1", "provider"),
        ("http://a..b/v1", "configuration"),
        (f"http://{'a' * 70}.invalid/v1", "configuration"),
    ],
)
def test_a_name_that_leads_nowhere(endpoint: str, code: str) -> None:
    async def scene() -> None:
        with pytest.raises(CallError) as failure:
            await call(create_caller(config(endpoint, retry_count=0), KEY))
        assert failure.value.code == code

    asyncio.run(scene())


def test_a_certificate_that_nobody_vouches_for() -> None:
    async def scene() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
        async with FakeProvider(context=context) as provider:
            with pytest.raises(CallError) as failure:
                await call(create_caller(config(provider), KEY))
            assert failure.value.code == "configuration"
            assert "certificate" in failure.value.text
            assert provider.requests == []

    asyncio.run(scene())


def test_https_where_http_is_spoken() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def scene() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            endpoint = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            with pytest.raises(CallError) as failure:
                await call(create_caller(config(endpoint), KEY))
        assert failure.value.code == "configuration"
        assert "TLS" in failure.value.text

    asyncio.run(scene())


def test_redirects_are_not_followed() -> None:
    async def scene(provider: FakeProvider) -> None:
        async with FakeProvider() as elsewhere:
            provider.scripts.append(refusing(307, location=f"{elsewhere.url}/chat/completions"))
            with pytest.raises(CallError) as failure:
                await call(create_caller(config(provider), KEY))
            assert failure.value.code == "configuration"
            assert "moved" in failure.value.text
            assert len(provider.requests) == 1
            assert elsewhere.connections == 0

    play(scene)


def test_a_proxy_of_the_environment_is_told_of_and_sees_no_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(proxy: FakeProvider) -> None:
        address = f"http://user:password@127.0.0.1:{proxy.port}"
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        proxy.default = refusing(407)

        with pytest.raises(CallError) as failure:
            await call(create_caller(config("https://model.invalid/v1", retry_count=0), KEY))

        (sent,) = proxy.requests
        assert (sent.method, sent.path) == ("CONNECT", "model.invalid:443")
        assert KEY not in str(sent.headers)
        assert failure.value.code == "configuration"
        assert "HTTPS_PROXY" in failure.value.text
        assert f"the proxy 127.0.0.1:{proxy.port}" in caplog.text
        assert "password" not in f"{caplog.text} {failure.value}"

        caplog.clear()
        for endpoint in ("http://model.invalid/v1", f"https://127.0.0.1:{proxy.port}/v1"):
            with pytest.raises(CallError):
                await call(create_caller(config(endpoint, retry_count=0, connect_timeout_seconds=0.5), KEY))
        assert len(proxy.requests) == 1
        assert "proxy" not in caplog.text

    play(scene)


# Refusals


@pytest.mark.parametrize(
    ("status", "reason", "code", "explains"),
    [
        (400, "invalid_request_error", "provider", "rejected"),
        (400, "context_length_exceeded", "provider", "too long"),
        (400, "content_filter", "provider", "content filter"),
        (401, "invalid_api_key", "configuration", "llm.api_key"),
        (402, "", "configuration", "credit"),
        (403, "", "configuration", "llm.api_key"),
        (404, "model_not_found", "configuration", "llm.model"),
        (413, "", "provider", "too long"),
        (429, "insufficient_quota", "configuration", "credit"),
    ],
)
def test_a_refusal_is_explained_and_not_repeated(status: int, reason: str, code: str, explains: str) -> None:
    body = {"error": {"message": f"Incorrect API key: {KEY} SECRET-BODY", "code": reason}}
    failure, provider, caller = fail(refusing(status, body))

    assert failure.code == code
    assert explains in failure.text
    assert len(provider.requests) == 1
    assert caller.breaker.failures == 0, "a provider that says no is alive"
    assert KEY not in f"{failure} {failure.text}"
    assert "SECRET-BODY" not in failure.text


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_provider_in_trouble_is_asked_again(status: int) -> None:
    async def scene(provider: FakeProvider) -> None:
        caller = create_caller(config(provider), KEY)
        assert (await call(caller)).text == "echo: hi"
        assert caller.retried == 2
        assert caller.breaker.failures == 0

    play(scene, refusing(status, "<html>Bad</html>"), refusing(status))


def test_retries_come_to_an_end() -> None:
    failure, provider, caller = fail(*[refusing(503)] * 4, retry_count=3)

    assert failure.code == "provider"
    assert len(provider.requests) == 4
    assert caller.breaker.failures == 4


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to(form: str) -> None:
    async def scene(provider: FakeProvider) -> float:
        asked = time.monotonic()

        async def refuse(exchange: Exchange) -> None:
            value = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
            await exchange.refuse(429, retry_after=value)

        provider.scripts.append(refuse)
        await call(create_caller(config(provider), KEY))
        return time.monotonic() - asked

    assert play(scene) >= 0.9


def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    failure, provider, _ = fail(refusing(429, retry_after="3600"))

    assert failure.code == "provider"
    assert len(provider.requests) == 1


def test_a_field_that_is_refused_is_left_out_from_then_on() -> None:
    async def strict(exchange: Exchange) -> None:
        for name in ("stream_options", "temperature"):
            if name in exchange.json:
                error = {"message": f"Unsupported parameter: {name}", "param": name}
                return await exchange.refuse(400, {"error": error})
        if "max_tokens" in exchange.json:
            message = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            return await exchange.refuse(400, {"error": {"message": message, "param": "max_tokens"}})
        return await exchange.answer("fine")

    async def scene(provider: FakeProvider) -> None:
        provider.default = strict
        caller = create_caller(config(provider), KEY)
        # Many at once: each is refused for what it sent, though another has learned meanwhile.
        answers = await asyncio.gather(*(caller.complete(request(), Said().append) for _ in range(10)))
        assert [answer.text for answer in answers] == ["fine"] * 10
        before = len(provider.requests)
        await call(caller)
        assert len(provider.requests) == before + 1

    play(scene)


def test_a_server_that_refuses_everything_is_not_asked_for_ever() -> None:
    def confused(exchange: Exchange) -> Awaitable[None]:
        return exchange.refuse(400, {"error": {"message": "max_completion_tokens is the wrong name"}})

    failure, provider, _ = fail(*[confused] * 20)

    assert failure.code == "provider"
    assert len(provider.requests) == 4


# Time


@pytest.mark.parametrize("before", ["headers", "first word", "last word"])
def test_a_call_that_takes_too_long(before: str) -> None:
    script = {"headers": hang, "first word": saying(then=hang), "last word": saying("half", then=hang)}[
        before
    ]
    failure, provider, caller = fail(script, timeout_seconds=0.5)

    assert failure.code == "timeout"
    assert len(provider.requests) == 1, "the time of the whole call is over, and no other would be faster"
    assert caller.breaker.failures == 1


def test_timeouts_open_the_breaker() -> None:
    async def scene(provider: FakeProvider) -> None:
        provider.default = hang
        given = config(provider, timeout_seconds=0.2, circuit_breaker_threshold=2)
        caller = create_caller(given, KEY)
        codes = []
        for _ in range(3):
            with pytest.raises(CallError) as failure:
                await caller.complete(request(), Said().append)
            codes.append(failure.value.code)
        await caller.close()
        assert codes == ["timeout", "timeout", "circuit_open"]
        assert len(provider.requests) == 2

    play(scene)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_stalls(streamed: bool) -> None:
    async def scene(provider: FakeProvider) -> None:
        client = HttpProvider(target_for(config(provider), KEY), stall_timeout_s=0.2)
        with pytest.raises(CallError) as failure:
            await client.complete(request(), Said().append)
        await client.close()
        assert failure.value.code == "timeout"
        assert failure.value.retryable
        assert failure.value.outcome.value == "failed"

    play(scene, saying(*(["half"] if streamed else []), then=comment_and_hang))


def test_cancelling_closes_the_connection_at_once() -> None:
    async def scene(provider: FakeProvider) -> None:
        closed: asyncio.Queue[str] = asyncio.Queue()

        def until_closed(name: str, *texts: str) -> Script:
            async def then(exchange: Exchange) -> None:
                await exchange.hung_up()
                closed.put_nowait(name)

            return saying(*texts, then=then) if texts else then

        caller = create_caller(config(provider), KEY)
        for number, (name, texts) in enumerate([("thinking", ()), ("speaking", ("half",))], start=1):
            provider.scripts.append(until_closed(name, *texts))
            said = Said()
            task = asyncio.create_task(caller.complete(request(), said.append))
            await provider.arrived(number)
            await said.until("".join(texts))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.wait_for(closed.get(), 30) == name
        assert caller.breaker.failures == 0
        assert (await call(caller)).text == "echo: hi", "its place is free again"

    play(scene)


# Many at once


def test_calls_at_once_have_a_limit() -> None:
    async def scene(provider: FakeProvider) -> None:
        release = asyncio.Event()
        running = most = 0

        async def slow(exchange: Exchange) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await release.wait()
            running -= 1
            await exchange.answer("done")

        provider.default = slow
        caller = create_caller(config(provider, max_concurrent_calls=3, max_waiting_calls=5), KEY)
        tasks = [asyncio.create_task(caller.complete(request(), Said().append)) for _ in range(9)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = done
        assert isinstance(refused.exception(), CallError)
        assert "overloaded" in str(refused.exception())
        await provider.arrived(3)
        release.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await caller.close()
        assert sum(isinstance(each, Answer) for each in answers) == 8
        assert most == 3

    play(scene)


def test_exactly_one_of_many_callers_probes_a_provider_that_was_down() -> None:
    async def scene(provider: FakeProvider) -> None:
        provider.default = refusing(503)
        given = config(
            provider, circuit_breaker_threshold=2, circuit_breaker_cooldown_seconds=1, retry_count=0
        )
        caller = create_caller(given, KEY)
        await asyncio.gather(
            *(caller.complete(request(), Said().append) for _ in range(2)), return_exceptions=True
        )
        assert caller.breaker.state is BreakerState.OPEN
        assert len(provider.requests) == 2

        release = asyncio.Event()

        async def recover(exchange: Exchange) -> None:
            await release.wait()
            await exchange.answer("back")

        provider.default = recover
        await asyncio.sleep(caller.breaker.retry_after_s(time.monotonic()))
        tasks = [asyncio.create_task(caller.complete(request(), Said().append)) for _ in range(50)]
        await provider.arrived(3)
        await asyncio.wait(tasks, timeout=0.2)
        release.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)

        assert len(provider.requests) == 3
        assert [str(end).partition(":")[0] for end in ends if isinstance(end, CallError)] == [
            "circuit_open"
        ] * 49
        assert caller.breaker.state is BreakerState.CLOSED
        assert (await call(caller)).text == "back"

    play(scene)


def test_jitter_keeps_callers_apart() -> None:
    waits = {
        round(retries.next_delay_s(retryable=True, retry_after_s=5.0, left_s=100.0) or 0, 3)
        for retries in (
            create_caller(config("http://127.0.0.1:9"), KEY)._retries.begin(random.Random(seed))
            for seed in range(20)
        )
    }
    assert len(waits) > 10
    assert min(waits) >= 5.0
