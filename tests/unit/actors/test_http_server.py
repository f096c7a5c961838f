"""Who has room at the HTTP channel's server, and what who speaks no HTTP is told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from openclaw_actors.actors.http_server import HttpServer
from openclaw_actors.channels.address import ClientAddresses
from openclaw_actors.config.sections import HttpConfig

DEADLINE_S = 30.0


class Strangers(ClientAddresses):
    """Takes nobody for a proxy, so that the loopback counts as any other address does."""

    def is_proxy(self, peer: str) -> bool:
        return False


class Served:
    def __init__(self, proxies: ClientAddresses, **limits: int) -> None:
        self.refused = 0
        self.limits = HttpConfig(**limits)
        self.proxies = proxies
        self.routes = (web.get("/", self._answer), web.post("/", self._answer))
        self.server = HttpServer(
            loop=asyncio.get_running_loop(),
            limits=self.limits,
            routes=self.routes,
            proxies=proxies,
            refused=self._count,
        )
        self.port = 0

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text="here")

    def _count(self) -> None:
        self.refused += 1

    async def say(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """What one connection is answered to these bytes."""
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(data)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, body

    async def get(self) -> int:
        return (await self.say(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))[0]


@asynccontextmanager
async def serving(proxies: ClientAddresses | None = None, **limits: int) -> AsyncIterator[Served]:
    served = Served(proxies or ClientAddresses(trust_forwarded=False), **limits)
    listener = socket.create_server(("127.0.0.1", 0))
    served.port = listener.getsockname()[1]
    await served.server.serve([listener])
    try:
        yield served
    finally:
        await served.server.shut_down()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


def test_one_address_cannot_take_the_room_of_all() -> None:
    async def scene() -> None:
        async with serving(Strangers(trust_forwarded=False), max_connections_per_ip=2) as served:
            held = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(2)]
            await until(lambda: served.server.connections == 2)
            assert await served.get() == 503
            assert served.refused == 1
            for _, writer in held:
                writer.close()
            await until(lambda: served.server.connections == 0)
            assert await served.get() == 200

            # Another configuration holds for the next one; those that are there count on.
            await served.server.use(
                limits=HttpConfig(max_connections_per_ip=1), routes=served.routes, proxies=served.proxies
            )
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            await until(lambda: served.server.connections == 1)
            assert await served.get() == 503
            writer.close()

    asyncio.run(scene())


def test_a_proxy_speaks_for_many() -> None:
    async def scene() -> None:
        async with serving(max_connections_per_ip=1, max_connections=3) as served:
            held = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(2)]
            await until(lambda: served.server.connections == 2)
            assert await served.get() == 200
            await until(lambda: served.server.connections == 2)
            held.append(await asyncio.open_connection("127.0.0.1", served.port))
            await until(lambda: served.server.connections == 3)
            status, headers, body = await served.say(b"GET / HTTP/1.1\r\n\r\n")
            assert (status, json.loads(body)["error"]["code"]) == (503, "busy")
            assert headers["Retry-After"] == "1"
            for _, writer in held:
                writer.close()

    asyncio.run(scene())


def test_who_sends_without_an_end_is_not_listened_to_for_long_after_its_answer() -> None:
    async def scene() -> None:
        async with serving(body_timeout_seconds=3_000) as served, asyncio.timeout(DEADLINE_S):
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while not writer.is_closing():
                    writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                    await writer.drain()
                    await asyncio.sleep(0)
            except ConnectionError:
                pass
            assert await served.get() == 200

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request"),
        (b"GARBAGE\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno-colon\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"<b>" * 4_000 + b"\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nConnection: close\r\n\r\n", 417, "expectation_failed"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_answered_as_every_other_error(said: bytes, status: int, code: str) -> None:
    async def scene() -> None:
        async with serving() as served:
            got, headers, body = await served.say(said)
            assert (got, headers["Server"]) == (status, "openclaw"), body
            assert headers["Content-Type"].startswith("application/json"), body
            error = json.loads(body)["error"]
            assert error["code"] == code
            assert error["text"].endswith(".")
            assert "\n" not in error["text"]
            assert len(body) < 400
            assert await served.get() == 200

    asyncio.run(scene())
