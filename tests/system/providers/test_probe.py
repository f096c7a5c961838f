"""What a probe tells of a provider: each kind of trouble is made by a real server, and told from the others."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from email.utils import formatdate
from typing import Any

import pytest

from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.messages import ProviderProbed
from openclaw_actors.providers import create_caller
from tests.system.providers.calling import KEY, PEM, hang
from tests.system.providers.fake import Exchange, FakeProvider, Script


def models(*names: str, **headers: str) -> Script:
    async def script(exchange: Exchange) -> None:
        body = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
        await exchange.refuse(200, body, **headers)

    return script


def answering(status: int, body: Any = None) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.refuse(status, body)

    return script


async def probe(url: str, *, timeout_s: float = 5.0, key: str | None = KEY, **llm: Any) -> ProviderProbed:
    settings = {"provider": "openai-compatible", "endpoint": url, "model": "gpt-x", **llm}
    caller = create_caller(LlmConfig(**settings), key)
    try:
        return await caller.probe(timeout_s=timeout_s)
    finally:
        await caller.close()


def probed(script: Script, **options: Any) -> tuple[ProviderProbed, Exchange]:
    async def run() -> tuple[ProviderProbed, Exchange]:
        async with asyncio.timeout(30), FakeProvider(script) as provider:
            return await probe(provider.url, **options), provider.requests[0]

    result, exchange = asyncio.run(run())
    assert KEY not in repr(result)
    return result, exchange


def test_a_good_provider_is_asked_for_its_models_with_the_key() -> None:
    result, exchange = probed(models("gpt-a", "gpt-x"))
    assert (result.result, result.status, result.model) == ("ok", 200, "gpt-x")
    assert (exchange.method, exchange.path) == ("GET", "/v1/models")
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert result.where == exchange.headers["host"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (models("gpt-a"), "unlisted"),
        (models("gpt-x:latest"), "ok"),
        (
            answering(401, {"error": {"message": f"Incorrect API key {KEY}", "code": "invalid_api_key"}}),
            "key",
        ),
        (answering(403), "forbidden"),
        (answering(402), "credit"),
        (answering(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), "credit"),
        (answering(429), "busy"),
        (answering(404), "unchecked"),
        (answering(503), "failing"),
        (answering(301), "moved"),
        (answering(200, "<html>a router's log-in page</html>"), "foreign"),
        (answering(200, b"\xff\xfe".decode("latin-1")), "foreign"),
        (lambda exchange: exchange.bytes(b"220 mail.example ESMTP\r\n\r\n"), "http"),
        (hang, "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_answers_is_told_apart(script: Script, expected: str) -> None:
    result, _ = probed(script, timeout_s=0.5 if expected == "timeout" else 5.0)
    assert result.result == expected
    if expected == "timeout":
        assert "while the answer was waited for" in result.detail


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = asyncio.run(probe(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert result.result == "tcp"
    assert "refused" in result.detail.lower()


def test_a_name_that_does_not_exist() -> None:
    result = asyncio.run(probe("https://provider.invalid/v1"))
    assert result.result == "dns"


def test_a_certificate_that_is_not_trusted_and_no_tls_at_all() -> None:
    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)

    async def run() -> list[ProviderProbed]:
        async with FakeProvider(context=context) as secure:
            untrusted = await probe(secure.url)
        async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return [untrusted, await probe(f"https://127.0.0.1:{port}")]

    untrusted, plain = asyncio.run(run())
    assert (untrusted.result, plain.result) == ("tls", "tls")
    assert "self" in untrusted.detail
    assert "does not speak TLS" in plain.detail


def test_the_provider_s_date_shows_a_clock_that_is_wrong() -> None:
    result, _ = probed(models("gpt-x", date=formatdate(time.time() - 3600, usegmt=True)))
    assert result.clock_ahead_s == pytest.approx(3600, abs=10)
    result, _ = probed(models("gpt-x", date="yesterday"))
    assert result.clock_ahead_s is None


def test_azure_lists_models_for_the_account() -> None:
    options = {"provider": "azure-openai", "model": "my-deployment"}
    result, exchange = probed(models("gpt-4o"), **options)
    assert exchange.path.startswith("/v1/openai/models?api-version=")
    assert exchange.headers["api-key"] == KEY
    assert result.result == "ok"


def test_a_list_without_end_is_not_read_to_its_end() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head(200, content_type="application/json")
        while True:
            await exchange.send(b" " * 65_536)

    result, _ = probed(endless)
    assert result.result == "foreign"
