"""Serving declared operations, on a real port but without a gateway behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import SimpleNamespace
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import Meta

from openclaw_actors.actors.http_context import HttpContext
from openclaw_actors.actors.http_operations import (
    Call,
    Handler,
    OperationRoutes,
    Streamed,
    refusal_status,
)
from openclaw_actors.channels.auth import Principals
from openclaw_actors.channels.http.declaring import Input, Operation
from openclaw_actors.channels.openai.repeats import Repeats
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.series import Tally
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages.base import Value


class Thing(Value):
    text: str


class Path(Input):
    key: str


class Query(Input):
    limit: Annotated[int, Meta(ge=1, le=9)] = 3


class Body(Input):
    deep: bool = False


THING = Operation(
    name="thing",
    method="POST",
    path="/things/{key}",
    summary="A thing.",
    tag="things",
    access="principal",
    parameters=Path,
    query=Query,
    body=Body,
    answer=Thing,
    status=201,
)
STREAM = Operation(
    name="stream",
    method="GET",
    path="/stream",
    summary="Pieces.",
    tag="things",
    access="anyone",
    media_types=("text/plain",),
)


def served(
    operation: Operation,
    handler: Handler,
    scene: Callable[[TestClient[Any, Any], HttpContext], Awaitable[None]],
    **settings: Any,
) -> None:
    """Serve one operation, and play the scene with a client of it."""
    config = msgspec.convert(settings, GatewayConfig)
    context = HttpContext(
        actor=SimpleNamespace(counters=Tally()),  # type: ignore[arg-type] - nobody is asked here
        supervisor=None,
        directory=None,  # type: ignore[arg-type]
        config=config,
        secrets={},
        principals=Principals({}),
        deliveries=None,  # type: ignore[arg-type]
        turns=None,  # type: ignore[arg-type]
        calls=None,  # type: ignore[arg-type]
        repeats=Repeats(),
        port=80,
    )
    app = web.Application()
    app.add_routes(OperationRoutes(context, [operation], {operation.name: handler}).routes())

    async def play() -> None:
        async with asyncio.timeout(20), TestClient(TestServer(app)) as client:
            await scene(client, context)

    asyncio.run(play())


def test_a_handler_gets_what_was_checked_and_its_answer_is_sent() -> None:
    calls: list[Call] = []

    async def handler(call: Call) -> Thing:
        calls.append(call)
        return Thing(text="done")

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        answer = await client.post("/things/a%2Fb%20c?limit=4", json={"deep": True})
        assert (answer.status, await answer.json()) == (201, {"text": "done"})
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        (call,) = calls
        assert (call.path, call.query, call.body) == (Path(key="a/b c"), Query(limit=4), Body(deep=True))
        assert (call.principal, call.is_owner, call.prefix) == ("local", True, "")
        assert (await client.post("/things/x")).status == 201, (
            "a body without required fields may be left out"
        )

    served(THING, handler, scene)


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        ("/things/x?limit=0", {}, 400, "bad_field"),
        ("/things/x?limit=1&limit=2", {}, 400, "bad_field"),
        ("/things/x?other=1", {}, 400, "bad_field"),
        ("/things/x", {"json": {"deep": 1}}, 400, "bad_field"),
        ("/things/x", {"json": []}, 400, "bad_json"),
        ("/things/x", {"data": b"{}"}, 415, "unsupported_media_type"),
        ("/things/x", {"json": {"deep": "x" * 2_000}}, 413, "body_too_large"),
        ("/things/x", {"headers": {"Host": "evil.example"}}, 403, "host_not_allowed"),
        ("/things/x", {"headers": {"Origin": "http://evil.example"}}, 403, "origin_not_allowed"),
    ],
)
def test_what_is_not_as_declared_never_reaches_the_handler(
    path: str, options: dict[str, Any], status: int, code: str
) -> None:
    async def handler(call: Call) -> Thing:
        raise AssertionError("it was called")

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        answer = await client.post(path, **options)
        assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)

    served(THING, handler, scene, http={"max_body_bytes": 1_000})


@pytest.mark.parametrize("body", [b"{bad", b"[]", b'{"deep": true}'])
def test_an_operation_without_a_body_ignores_none(body: bytes) -> None:
    calls = []

    async def handler(call: Call) -> Thing:
        calls.append(call)
        return Thing(text="done")

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        assert (await client.post("/things/x", data=body)).status == 400
        assert calls == []
        for nothing in (b"", b"{}"):
            assert (await client.post("/things/x", data=nothing)).status == 201

    served(msgspec.structs.replace(THING, body=None), handler, scene)


@pytest.mark.parametrize(
    ("code", "status"), [("unknown", 404), ("busy", 409), ("unavailable", 503), ("what else", 409)]
)
def test_a_refusal_becomes_its_status(code: str, status: int) -> None:
    assert refusal_status(code) == status

    said = ["it is not there", "sms:+1 is not there"]

    async def handler(call: Call) -> Thing:
        raise AskRefused(code, said.pop(0))

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        answer = await client.post("/things/x")
        assert answer.status == status
        assert await answer.json() == {"error": {"code": code, "text": "It is not there."}}
        assert ("Retry-After" in answer.headers) is (status == 503)
        answer = await client.post("/things/x")
        assert (await answer.json())["error"]["text"] == "sms:+1 is not there.", "a key stays as it is"

    served(THING, handler, scene)


def test_too_many_requests_are_refused_and_counted() -> None:
    async def handler(call: Call) -> Thing:
        return Thing(text="")

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        statuses = [(await client.post("/things/x")).status for _ in range(4)]
        assert statuses == [201, 201, 429, 429]
        assert context.counters['rate_limit_hits_total{channel="http"}'] == 2

    served(THING, handler, scene, http={"requests_per_minute_per_client": 2})


def test_an_answer_that_fails_on_its_way_is_seen_to_be_broken() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"the beginning"
        raise AskRefused("unavailable", "the store is gone")

    async def handler(call: Call) -> Streamed:
        return Streamed(pieces=pieces(), media_type="text/plain")

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        answer = await client.get("/stream")
        assert (answer.status, answer.content_type) == (200, "text/plain")
        with pytest.raises(aiohttp.ClientError):
            await answer.read()

    served(STREAM, handler, scene)


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    ended = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x" * 1_000_000
        finally:
            ended.set()

    async def handler(call: Call) -> Streamed:
        return Streamed(pieces=pieces(), media_type="text/plain")

    async def scene(client: TestClient[Any, Any], context: HttpContext) -> None:
        with socket.create_connection((client.host, client.port)) as silent:
            silent.sendall(f"GET /stream HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
            async with asyncio.timeout(5):
                await ended.wait()

    served(STREAM, handler, scene, http={"send_timeout_seconds": 0.2})


def test_what_is_declared_is_served_and_nothing_else() -> None:
    async def handler(call: Call) -> None: ...

    with pytest.raises(ValueError, match=r"\['other', 'thing'\]"):
        OperationRoutes(None, [THING], {"other": handler})  # type: ignore[arg-type]
