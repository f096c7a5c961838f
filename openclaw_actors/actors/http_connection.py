"""Owns one connection of the HTTP channel: whether there is room for it, and what who speaks no HTTP is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from openclaw_actors.actors.http_context import error_answer
from openclaw_actors.channels.limits import ConnectionLimits

__all__ = ["SERVER", "Admission", "Connection"]

SERVER = "openclaw"
"""Which library it is, in which version, is nobody's business."""
_FULL_BODY = (
    msgspec.json.encode({"error": {"code": "busy", "text": "There are too many connections."}}) + b"\n"
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nServer: %b\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
) % (SERVER.encode(), len(_FULL_BODY), _FULL_BODY)
_MAX_TEXT_CHARS = 200


class Admission:
    """Decides whether one more connection may stay.

    Args:
        limits: of all connections, and of one address.
        is_proxy: whether an address speaks for many clients; then it is limited by the total alone.
        refused: told of each connection that may not stay.
    """

    def __init__(
        self, limits: ConnectionLimits, *, is_proxy: Callable[[str], bool], refused: Callable[[], None]
    ) -> None:
        self.limits = limits
        self.is_proxy = is_proxy
        self._refused = refused

    def admit(self, transport: asyncio.BaseTransport) -> str | None:
        """Count one more; returns what it is to be released by, None where it may not stay."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        counted = "" if self.is_proxy(address) else address
        if self.limits.admit(counted):
            return counted
        self._refused()
        return None


class Connection(web.RequestHandler):
    """A connection. One that may not stay is told so, whatever it says."""

    __slots__ = ("_admission", "_admitted", "_arrived")

    def __init__(
        self,
        server: web.Server,
        *,
        admission: Admission,
        arrived: Callable[[Connection], None],
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self._admission = admission
        self._arrived = arrived
        self._admitted: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or not."""
        self._admitted = self._admission.admit(transport)
        if self._admitted is None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(_FULL)
            transport.close()
            return
        super().connection_made(transport)
        self._arrived(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        if self._admitted is not None:
            self._admission.limits.release(self._admitted)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; of who may not stay, nothing."""
        if self._admitted is not None:
            super().data_received(data)

    def eof_received(self) -> None:
        """Whoever sends no more may still wait for its answer."""
        if self._admitted is not None:
            super().eof_received()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Say what is wrong as the channel says everything else, also to who speaks no HTTP."""
        super().handle_error(request, status, exc, message)  # logs it; raises where an answer has begun
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            code, text = "internal", "Internal error."
        else:
            code = HTTPStatus(status).phrase.lower().replace(" ", "_")
            # What follows in further lines is what the client sent.
            reason = (message or "").partition("\n")[0].strip(" .:")[:_MAX_TEXT_CHARS]
            text = f"The request cannot be read: {reason}." if reason else "The request cannot be read."
        answer = error_answer(status, code, text, {"Server": SERVER})
        answer.force_close()
        return answer
