"""Owns the HTTP channel's connections: how many, how long a silent one lasts, and what a failed request is told."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from openclaw_actors.actors.http_connection import SERVER, Admission, Connection
from openclaw_actors.actors.http_context import HttpError, error_answer
from openclaw_actors.actors.tls_gate import TlsGate
from openclaw_actors.channels.address import ClientAddresses
from openclaw_actors.channels.limits import ConnectionLimits
from openclaw_actors.config.sections import HttpConfig

__all__ = ["HEAD_TIMEOUT_S", "HttpServer"]

logger = logging.getLogger(__name__)

_FINISH_WITHIN_S = 1.0
HEAD_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 30.0
_LINGER_S = 1.0
"""So long what comes behind a refused body is read and thrown away, for its client to read why."""
_MAX_LINE_BYTES = 8_190
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """An aiohttp server inside an actor.

    Args:
        loop: the actor's.
        limits: the configuration's section.
        routes: all that it serves.
        proxies: who is a proxy of ours.
        refused: told of each connection that has no room.
        gate: of TLS; None: it speaks plain HTTP.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: HttpConfig,
        routes: Iterable[web.RouteDef],
        proxies: ClientAddresses,
        refused: Callable[[], None],
        gate: TlsGate | None = None,
    ) -> None:
        self._loop = loop
        self._make = gate.guard(self._connection) if gate is not None else self._connection
        self._listeners: list[asyncio.Server] = []
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._before: list[web.AppRunner] = []
        """Of earlier configurations, as long as requests run that came then."""
        self._admission = Admission(
            ConnectionLimits(max_total=limits.max_connections, max_per_address=limits.max_connections_per_ip),
            is_proxy=proxies.is_proxy,
            refused=refused,
        )
        self._options: dict[str, Any] = {}
        self._runner = self._made(limits, routes)

    def _made(self, limits: HttpConfig, routes: Iterable[web.RouteDef]) -> web.AppRunner:
        app = web.Application(middlewares=[self._guard], client_max_size=limits.max_body_bytes)
        app.add_routes(
            web.RouteDef(each.method, each.path, each.handler, {**each.kwargs, "expect_handler": _expected})
            for each in routes
        )
        app.on_response_prepare.append(_name_server)
        self._options = {
            "access_log": None,
            "logger": _Strangers(logging.getLogger("aiohttp.server")),
            "keepalive_timeout": _KEEP_ALIVE_S,
            "lingering_time": min(_LINGER_S, limits.body_timeout_seconds),
            "max_line_size": _MAX_LINE_BYTES,
            "max_field_size": _MAX_LINE_BYTES,
        }
        return web.AppRunner(app, handle_signals=False, shutdown_timeout=_FINISH_WITHIN_S)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._admission.limits.total

    async def use(
        self, *, limits: HttpConfig, routes: Iterable[web.RouteDef], proxies: ClientAddresses
    ) -> None:
        """Answer by another configuration from now on.

        A request that is being answered ends as it began, and its connection with it; those that wait for their next
        request are closed.
        """
        runner = self._made(limits, routes)
        await runner.setup()
        before, self._runner = self._runner, runner
        self._admission.is_proxy = proxies.is_proxy
        self._admission.limits.use(
            max_total=limits.max_connections, max_per_address=limits.max_connections_per_ip
        )
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
        return Connection(
            server, loop=self._loop, admission=self._admission, arrived=self._arrived, **self._options
        )

    def _arrived(self, connection: Connection) -> None:
        # aiohttp waits for ever for a first request.
        self._silent[connection] = self._loop.call_later(HEAD_TIMEOUT_S, self._give_up, connection)

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


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


async def _expected(request: web.Request) -> web.StreamResponse | None:
    """What a client is told that waits with its body until it is asked for it."""
    if request.version < HttpVersion11:
        return None
    if request.headers["Expect"].lower() != "100-continue":
        return error_answer(
            417,
            "expectation_failed",
            "Expect: only 100-continue is known.",
            {"Connection": "close"},
        )
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None
