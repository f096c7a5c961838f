"""Owns the HTTP channel's connections: how many, how long a silent one lasts, and what a failed request is told."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from openclaw_actors.actors.http_context import HttpError, error_answer
from openclaw_actors.actors.tls_gate import TlsGate
from openclaw_actors.config.sections import HttpConfig

__all__ = ["HEAD_TIMEOUT_S", "HttpServer"]

logger = logging.getLogger(__name__)

_FINISH_WITHIN_S = 1.0
HEAD_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 30.0
_MAX_LINE_BYTES = 8_190
_FULL_BODY = (
    msgspec.json.encode({"error": {"code": "busy", "text": "There are too many connections."}}) + b"\n"
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_FULL_BODY), _FULL_BODY)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """An aiohttp server inside an actor.

    Args:
        loop: the actor's.
        limits: the configuration's section.
        routes: all that it serves.
        gate: of TLS; None: it speaks plain HTTP.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: HttpConfig,
        routes: Iterable[web.RouteDef],
        gate: TlsGate | None = None,
    ) -> None:
        self._loop = loop
        self._make = gate.guard(self._connection) if gate is not None else self._connection
        self._listeners: list[asyncio.Server] = []
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._coming = 0
        self._before: list[web.AppRunner] = []
        """Of earlier configurations, as long as requests run that came then."""
        self._max_connections = limits.max_connections
        self._runner = self._made(limits, routes)

    def _made(self, limits: HttpConfig, routes: Iterable[web.RouteDef]) -> web.AppRunner:
        app = web.Application(middlewares=[self._guard], client_max_size=limits.max_body_bytes)
        app.add_routes(routes)
        app.on_response_prepare.append(_name_server)
        return web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=_Strangers(logging.getLogger("aiohttp.server")),
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=limits.body_timeout_seconds,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            shutdown_timeout=_FINISH_WITHIN_S,
        )

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        runners = (self._runner, *self._before)
        return sum(len(each.server.connections) for each in runners if each.server is not None)

    async def use(self, *, limits: HttpConfig, routes: Iterable[web.RouteDef]) -> None:
        """Answer by another configuration from now on.

        A request that is being answered ends as it began, and its connection with it; those that wait for their next
        request are closed.
        """
        runner = self._made(limits, routes)
        await runner.setup()
        before, self._runner = self._runner, runner
        self._max_connections = limits.max_connections
        self._before = [each for each in self._before if each.server is not None and each.server.connections]
        if before.server is not None:
            for connection in before.server.connections:
                connection.close()
            self._before.append(before)

    async def serve(self, sockets: Iterable[socket.socket]) -> None:
        """Answer on these listening sockets."""
        await self._runner.setup()
        for each in sockets:
            self._listeners.append(await self._loop.create_server(self._make, sock=each))

    async def shut_down(self) -> None:
        """Close the port and let answers that are on their way finish."""
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(runner.cleanup() for runner in (self._runner, *self._before)))

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        if self.connections + self._coming >= self._max_connections:
            return _Full()
        # Many may be accepted before the first of them counts as a connection.
        self._coming += 1
        self._loop.call_soon(self._arrived)
        handler: web.RequestHandler = server()
        # aiohttp waits for ever for a first request.
        self._silent[handler] = self._loop.call_later(HEAD_TIMEOUT_S, self._give_up, handler)
        return handler

    def _arrived(self) -> None:
        self._coming -= 1

    def _give_up(self, handler: web.RequestHandler) -> None:
        self._silent.pop(handler, None)
        handler.force_close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """An error of ours costs its request and shows nothing of itself."""
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        try:
            return await handler(request)
        except HttpError as error:
            return error_answer(error.status, error.code, error.text, error.headers)
        except web.HTTPException as refusal:
            allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}
            code = refusal.reason.lower().replace(" ", "_")
            text = f"{request.method} {request.path[:200]}: {refusal.reason}."
            return error_answer(refusal.status, code, text, allow)
        except Exception:
            logger.exception("a request to %s failed", request.path[:200])
            return error_answer(500, "internal", "Internal error.")


class _Strangers(logging.LoggerAdapter[logging.Logger]):
    """What is no HTTP is no error of ours: a stranger must not fill the log with tracebacks."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **options: Any) -> None:
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            self.debug(msg, *args)
        else:
            super().exception(msg, *args, exc_info=exc_info, **options)


class _Full(asyncio.Protocol):
    """Tells a client that there is no room for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_FULL)
        transport.close()


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    """Which library, in which version, is nobody's business."""
    response.headers["Server"] = "openclaw"
