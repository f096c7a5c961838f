"""What a request to the WebSocket port gets before it is a WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from openclaw_actors.messages import Deliver, InitFailed
from tests.system.channels.harness import Channel, ChannelFactory
from tests.system.client import Client

TOKENS: dict[str, Any] = {"auth_token": "env:A", "auth": {"tokens": {"alice": "env:B"}}}
SECRETS = {"auth_token": "raw:master-secret", "auth.tokens.alice": "raw:alice-secret"}


async def http(channel: Channel, path: str, **options: Any) -> tuple[int, Any, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            options.pop("method", "GET"),
            f"http://{channel.host_port}{path}",
            allow_redirects=False,
            **options,
        ) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def refused(channel: Channel, path: str = "/ws", **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(f"ws://{channel.host_port}{path}", proxy=None, **options):
            pass
    return refusal.value.response.status_code


async def raw(channel: Channel, request: bytes) -> bytes:
    """Send bytes; everything that comes back until the end."""
    host, _, port = channel.host_port.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()
    return answer


def test_pages_and_refusals(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel(http={"port": 18790}) as channel:
            status, headers, body = await http(channel, "/health")
            assert (status, json.loads(body)) == (200, {"status": "ok", "uptime": 12.5})
            assert headers["Content-Type"] == "application/json"
            status, headers, body = await http(channel, "/metrics")
            assert status == 200
            assert b'openclaw_turns_total{status="completed"} 3.0\n' in body
            assert b"# TYPE openclaw_sessions_live gauge\n" in body
            status, headers, _ = await http(channel, "/")
            assert (status, headers["Location"]) == (307, "http://127.0.0.1:18790/")
            assert (await http(channel, "/ws"))[0] == 400
            assert (await http(channel, "/wss"))[0] == 404
            status, headers, _ = await http(channel, "/health", method="POST")
            assert (status, headers["Allow"]) == (405, "GET")
            assert (await http(channel, "/ws", method="POST", data=b"body"))[0] == 400

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ws HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /ws HTTP/1.1\r\nHost: a\r\nHost: b\r\nUpgrade: websocket\r\nOrigin: http://a\r\n\r\n", 400),
        (b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", 400),
        (
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
            400,
        ),
        (b"POST /ws HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(80) + b"\n\n", 400),  # TLS
    ],
)
def test_bad_requests_are_answered(start_channel: ChannelFactory, request_: bytes, status: int) -> None:
    async def scene() -> None:
        async with start_channel() as channel:
            answer = await raw(channel, request_)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
            assert answer.count(b"HTTP/1.1") == 1
            async with Client(channel.url) as client:
                await client.turn("still here")

    asyncio.run(scene())


def test_who_says_nothing_is_let_go(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel(websocket={"open_timeout_seconds": 0.3}) as channel:
            try:
                assert await raw(channel, b"GET /ws HT") == b""
            except ConnectionResetError:
                pass  # an end without a word

    asyncio.run(scene())


def test_every_form_of_a_token(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel(secrets=SECRETS, **TOKENS) as channel:
            assert await refused(channel) == 401
            assert await refused(channel, additional_headers={"Authorization": "Bearer wrong"}) == 401
            assert await refused(channel, additional_headers={"Authorization": "Basic master-secret"}) == 401
            assert await refused(channel, additional_headers={"Authorization": ""}) == 401
            assert await refused(channel, path="/ws?token=master-secret") == 401
            assert (await http(channel, "/metrics"))[0] == 401
            assert (await http(channel, "/health"))[0] == 200
            authorized = {"Authorization": "bearer alice-secret"}
            assert (await http(channel, "/metrics", headers=authorized))[0] == 200
            async with Client(channel.url, token="master-secret") as client:
                await client.turn("a", message_id="1")
            for offered, chosen in (
                (["openclaw.v2", "openclaw.token.alice-secret"], "openclaw.v2"),
                (["openclaw.token.alice-secret"], "openclaw.token.alice-secret"),
            ):
                names = [Subprotocol(name) for name in offered]
                async with connect(channel.url, proxy=None, subprotocols=names) as connection:
                    assert connection.subprotocol == chosen
            async with Client(channel.url, token="alice-secret") as client:
                await client.turn("b", message_id="1")
            asked = [(deliver.session, deliver.text) for deliver in await channel.seen(Deliver)]
            assert asked == [("websocket:default:main", "a"), ("websocket:alice:main", "b")]

    asyncio.run(scene())


def test_a_token_in_the_query_only_where_allowed(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        allowed = {"security": {"allow_query_string_token": True}}
        async with start_channel(secrets=SECRETS, **TOKENS, **allowed) as channel:
            assert await refused(channel, path="/ws?token=wrong") == 401
            assert await refused(channel, path="/ws?token=master-secret&token=x") == 400
            async with connect(f"{channel.url}?token=alice-secret", proxy=None):
                pass

    asyncio.run(scene())


def test_a_token_that_does_not_resolve_lets_nobody_in(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel:
            channel.set(auth_token="env:A", port=0)
            for references in ({}, {"auth_token": "file:/gone"}, {"auth_token": "vault:/gone:env:A"}):
                channel.secrets = references
                answer = await channel.start()
                assert isinstance(answer, InitFailed)
                assert answer.code == "configuration"
                assert answer.reason.startswith("auth_token ")
                assert "\n" not in answer.reason

    asyncio.run(scene())


def test_pages_of_strangers_may_not_connect(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        listed = {"security": {"allowed_origins": ["https://chat.example"]}}
        async with start_channel(http={"port": 18790}, **listed) as channel:
            for origin in (
                "https://evil.example",
                "null",
                "http://127.0.0.1:1",
                "http://127.0.0.1.evil.example",
            ):
                assert await refused(channel, origin=origin) == 403
            for origin in ("https://chat.example", f"http://{channel.host_port}", "http://127.0.0.1:18790"):
                async with connect(channel.url, proxy=None, origin=origin):
                    pass
            rebound = {"Host": "evil.example:80", "Origin": "http://evil.example:80"}
            head = "".join(f"{name}: {value}\r\n" for name, value in rebound.items())
            answer = await raw(
                channel,
                f"GET /ws HTTP/1.1\r\n{head}Upgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode(),
            )
            assert answer.startswith(b"HTTP/1.1 403 ")

    asyncio.run(scene())


def test_while_draining_nobody_comes_in(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            await client.turn("before")
            await channel.drain()
            assert await refused(channel) == 503
            assert (await http(channel, "/health"))[0] == 200
            notice = await client.expect("notice")
            assert notice["code"] == "draining"
            await client.send("after", message_id="late")
            error = await client.expect("error")
            assert (error["code"], error["messageId"]) == ("draining", "late")

    asyncio.run(scene())


def test_a_session_in_the_address(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel:
            async with connect(f"{channel.url}?session=caf%C3%A9", proxy=None) as connection:
                await connection.send("hello")
                assert await asyncio.wait_for(connection.recv(), 30) == "echo: hello"
            assert [d.session for d in await channel.seen(Deliver)] == ["websocket:local:café"]
            for bad in ("", "x" * 129, "a%00b", "a%0Ab", "%ff"):
                assert await refused(channel, path=f"/ws?session={bad}") == 400

    asyncio.run(scene())
