"""A server over streamable HTTP, written with the official library, in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until
from tests.system.ports import free_port

HERE = Path(__file__).parent
TOKEN = "t0ken-of-the-test"


class HttpServer:
    """One port, and the server that listens there."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._command = [sys.executable, str(HERE / script), *arguments]
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self._command, str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._listens, deadline_s=30.0, what="the MCP server listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    found = HttpServer("server.py", "--http")
    found.start()
    yield found
    found.kill()


def test_a_server_elsewhere_is_called_and_comes_back(
    make_gateway: GatewayFactory, server: HttpServer
) -> None:
    far = {
        "url": f"http://127.0.0.1:{server.port}/mcp",
        "token": "env:FAR_TOKEN",
        "headers": {"X-Team": "raw:blue"},
        "timeout_seconds": 8,
        "backoff_max_seconds": 1,
    }
    gateway = make_gateway(
        config={"mcp": {"servers": {"far": far}}}, environment={"FAR_TOKEN": TOKEN}
    ).start()

    async def call(client: Client, name: str, arguments: str = "{}") -> str:
        said = await client.turn(f"/demo tool mcp__far__{name} {arguments}", deadline_s=30.0)
        return str(said["text"]).removeprefix(f"mcp__far__{name}: ")

    async def until_up() -> None:
        await asyncio.to_thread(
            wait_until, lambda: gateway.nodes()["mcp:far"]["state"] == "running", deadline_s=30.0
        )

    async def scene() -> None:
        await until_up()
        async with Client(gateway.ws_url) as client:
            assert await call(client, "echo", '{"text":"hello"}') == "hello"
            assert await call(client, "header", '{"name":"authorization"}') == f"Bearer {TOKEN}"
            assert await call(client, "header", '{"name":"x-team"}') == "blue"
            assert "truncated: the result was 150000 characters long" in await call(
                client, "much", '{"chars":150000}'
            )
            server.kill()
            assert "far" in await call(client, "echo", '{"text":"gone"}')
            await asyncio.to_thread(server.start)
            await until_up()
            assert await call(client, "echo", '{"text":"back"}') == "back"

    asyncio.run(scene())
    assert TOKEN not in gateway.log_text()
    gateway.stop()


@pytest.fixture
def old_server() -> Iterator[HttpServer]:
    found = HttpServer("raw_http.py")
    found.start()
    yield found
    found.kill()


def test_a_server_that_has_forgotten_us_is_connected_anew(
    make_gateway: GatewayFactory, old_server: HttpServer
) -> None:
    url = f"http://127.0.0.1:{old_server.port}/mcp"
    far = {"url": url, "token": "raw:right"}
    stranger = {"url": url, "token": "raw:wrong", "backoff_seconds": 30}
    gateway = make_gateway(config={"mcp": {"servers": {"far": far, "stranger": stranger}}}).start()

    def up() -> bool:
        return bool(gateway.nodes()["mcp:far"]["state"] == "running")

    async def call(client: Client) -> str:
        said = await client.turn('/demo tool mcp__far__echo {"text":"hello"}', deadline_s=30.0)
        return str(said["text"])

    async def scene() -> None:
        await asyncio.to_thread(wait_until, up, deadline_s=30.0)
        async with Client(gateway.ws_url) as client:
            assert await call(client) == "mcp__far__echo: hello"
            old_server.kill()
            await asyncio.to_thread(old_server.start)
            assert "ended before it answered" in await call(client)
            assert await call(client) == "mcp__far__echo: hello"

    asyncio.run(scene())
    refused = "mcp:stranger: it answers HTTP 401"
    wait_until(lambda: refused in gateway.log_text(), what=refused)
    gateway.stop()
