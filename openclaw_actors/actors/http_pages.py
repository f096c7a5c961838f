"""Serves the web pages and their files. They hold nothing secret: what they show comes from `/api`, with a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec
from aiohttp import web

from openclaw_actors import __version__
from openclaw_actors.actors.http_context import HttpContext, json_answer
from openclaw_actors.channels.http.assets import (
    PAGES,
    STATIC,
    Assets,
    content_security_policy,
    negotiate,
)

__all__ = ["PageRoutes"]

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}


class _PageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a page must know before anybody has shown a token."""

    version: str
    token_required: bool
    tls: bool
    """Whether both channels speak TLS themselves."""
    http_port: int
    """A page that was loaded from another port came through a proxy."""
    ws_port: int | None
    """Where the web socket is; null while the channel is being restarted."""


class PageRoutes:
    """`/` and `/static/…`; nobody needs a token to load them."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._assets = Assets()

    def routes(self) -> Iterable[web.RouteDef]:
        """A route for each page and for each of its files; GET brings HEAD."""
        for path, name in PAGES.items():
            yield web.get(path, self._served(name))
        for name in STATIC:
            yield web.get(f"/static/{name}", self._served(name))
        yield web.get("/static/config.json", self._config)
        yield web.get("/favicon.ico", self._served("icon.svg"))

    def _served(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            status, body, headers = negotiate(
                self._assets.find(name),
                accept_encoding=request.headers.get("Accept-Encoding", ""),
                if_none_match=request.headers.get("If-None-Match", ""),
            )
            policy = content_security_policy(
                host=request.headers.get("Host"),
                ws_port=self._context.port_of("websocket"),
                tls=self._context.config.tls.on,
            )
            return web.Response(
                status=status, body=body, headers={**_ALWAYS, **headers, "Content-Security-Policy": policy}
            )

        return serve

    async def _config(self, request: web.Request) -> web.Response:
        context = self._context
        config = _PageConfig(
            version=__version__,
            token_required=context.principals.token_required,
            tls=context.config.tls.on,
            http_port=context.port,
            ws_port=context.port_of("websocket"),
        )
        return json_answer(config, headers={**_ALWAYS, "Cache-Control": "no-store"})
