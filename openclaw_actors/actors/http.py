"""HttpChannel: what the gateway answers over HTTP. For now that is how it is."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from openclaw_actors.actors.health import HealthWatch
from openclaw_actors.actors.listening import ListenFailed, listen, shown_address
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.channels.pages import health_page, readiness_page
from openclaw_actors.config import GatewayConfig, decode
from openclaw_actors.messages import (
    Address,
    Directory,
    Drain,
    Drained,
    Init,
    InitFailed,
    Ping,
    Pong,
    Ready,
)

__all__ = ["HttpChannel"]

logger = logging.getLogger(__name__)

_EXIT_AFTER_ANSWER_S = 0.05
_FINISH_WITHIN_S = 1.0
_HEAD_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 30.0
_MAX_LINE_BYTES = 8_190
_JSON = "application/json"
_DRAINING = "http: draining"
_FULL_BODY = b'{"error":{"code":"busy","text":"There are too many connections."}}\n'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_FULL_BODY), _FULL_BODY)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpChannel(AsyncActor):
    """The HTTP channel."""

    process_name = "http"

    def __init__(self) -> None:
        super().__init__()
        self._runner: web.AppRunner | None = None
        self._listeners: list[asyncio.Server] = []
        self._health: HealthWatch
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._max_connections = 0
        self._coming = 0
        self._draining = False

    # Life cycle

    @handles(Init)
    async def set_up(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Binds the port."""
        self.incarnation = message.incarnation
        config = decode(message.settings)
        self._health = HealthWatch(self, sender)
        try:
            sockets = await listen(config.bind_address, config.http.port, setting="http.port")
        except ListenFailed as problem:
            self.call_later(_EXIT_AFTER_ANSWER_S, self.stop, problem.code)
            return InitFailed(reason=problem.reason, code=problem.code)
        self._max_connections = config.http.max_connections
        self._runner = self._make_runner(config)
        await self._runner.setup()
        for each in sockets:
            self._listeners.append(await self.loop.create_server(self._connection, sock=each))
        address = shown_address(sockets)
        return Ready(pid=os.getpid(), incarnation=message.incarnation, detail={"address": address})

    def _make_runner(self, config: GatewayConfig) -> web.AppRunner:
        app = web.Application(middlewares=[self._guard], client_max_size=config.http.max_body_bytes)
        app.router.add_get("/health", self._live)
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.on_response_prepare.append(_name_server)
        return web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=config.http.body_timeout_seconds,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            shutdown_timeout=_FINISH_WITHIN_S,
        )

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """A service was replaced; nothing here talks to one yet."""

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many are connected."""
        server = self._runner.server if self._runner is not None else None
        connections = len(server.connections) if server is not None else 0
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing="draining" if self._draining else f"{connections} connections",
        )

    @handles(Drain)
    def drain(self, message: Drain, sender: Address) -> Drained:
        """Is not ready any more; how the gateway is can still be asked."""
        self._draining = True
        return Drained()

    async def on_stop(self) -> None:
        """Closes the port and lets answers that are on their way finish."""
        for listener in self._listeners:
            listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # Connections

    def _connection(self) -> asyncio.Protocol:
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        if len(server.connections) + self._coming >= self._max_connections:
            return _Full()
        # Many may be accepted before the first of them counts as a connection.
        self._coming += 1
        self.loop.call_soon(self._arrived)
        handler: web.RequestHandler = server()
        # aiohttp waits for ever for a first request.
        self._silent[handler] = self.call_later(_HEAD_TIMEOUT_S, self._give_up, handler)
        return handler

    def _arrived(self) -> None:
        self._coming -= 1

    def _give_up(self, handler: web.RequestHandler) -> None:
        del self._silent[handler]
        handler.force_close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Every answer is JSON, errors too; an error of ours costs its request and shows nothing of itself."""
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}
            code = refusal.reason.lower().replace(" ", "_")
            return _error(
                refusal.status, code, f"{request.method} {request.path[:200]}: {refusal.reason}.", allow
            )
        except Exception:
            logger.exception("a request to %s failed", request.path[:200])
            return _error(500, "internal", "Internal error.")

    # Routes

    async def _live(self, request: web.Request) -> web.Response:
        health = await self._health.health()
        return web.Response(body=health_page(health.uptime_seconds), content_type=_JSON)

    async def _ready(self, request: web.Request) -> web.Response:
        health = await self._health.health()
        problems = (*health.problems, _DRAINING) if self._draining else health.problems
        status, body = readiness_page(
            ready=health.ready and not self._draining, problems=problems, uptime_s=health.uptime_seconds
        )
        return web.Response(status=status, body=body, content_type=_JSON)


class _Full(asyncio.Protocol):
    """Tells a client that there is no room for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_FULL)
        transport.close()


def _error(status: int, code: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode({"error": {"code": code, "text": text}}) + b"\n"
    return web.Response(status=status, body=body, content_type=_JSON, headers=headers)


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    """Which library, in which version, is nobody's business."""
    response.headers["Server"] = "openclaw"
