"""A web server for tests, on a port of its own in the test's loop, and a look-up of names that a test decides."""

from __future__ import annotations

__all__ = ["Names", "Web", "play"]

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from openclaw_actors.tools.addresses import Address, is_public

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OURS = ipaddress.ip_address("127.0.0.2")
"""Counts as public in tests; everything else on this machine does not."""


class Web:
    """Serves what a test says, on every address of this machine."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.asked_at: list[str] = []
        """The address at which each request arrived."""
        self.pages: dict[str, Handler] = {}
        self.port = 0

    def page(self, path: str, body: bytes | str = b"", **options: Any) -> None:
        data = body.encode() if isinstance(body, str) else body

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=data, **options)

        self.pages[path] = answer

    def redirect(self, path: str, to: str, status: int = 302) -> None:
        self.page(path, "on", status=status, headers={"Location": to})

    async def __aenter__(self) -> Web:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "0.0.0.0", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)  # type: ignore[arg-type]
        assert request.transport is not None
        self.asked_at.append(request.transport.get_extra_info("sockname")[0])
        handler = self.pages.get(request.path)
        return await handler(request) if handler else web.Response(status=404, text="nothing here")  # type: ignore[arg-type]


class Names:
    """Stands in for DNS: each name's addresses, look-up by look-up; the last holds on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **names: list[list[str]]) -> None:
        self.looked_up: list[str] = []
        self._names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        names_ = self

        async def getaddrinfo(_: Any, host: str, port: int, **__: Any) -> list[Any]:
            names_.looked_up.append(host)
            answers = names_._names.get(host)
            if answers is None:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            addresses = answers.pop(0) if len(answers) > 1 else answers[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)


def allowed(address: Address) -> bool:
    """The rule of the gateway, but for one address."""
    return address == OURS or is_public(address)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(within())
