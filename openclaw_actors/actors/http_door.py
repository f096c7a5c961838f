"""Decides who may come in over HTTP: which pages of a browser's, and how often."""

from __future__ import annotations

import time

from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext, HttpError
from openclaw_actors.channels.http.browsers import BrowserRule
from openclaw_actors.core.rate import RateWindows

__all__ = ["Door"]

_READABLE = "Retry-After, x-request-id, x-should-retry"


class Door:
    """Lets requests to a group of routes in.

    Args:
        per_minute: requests of one caller from one address in any 60 seconds; 0: no limit.
        too_fast: what a caller beyond it is told.
    """

    def __init__(self, context: HttpContext, *, per_minute: int, too_fast: str) -> None:
        config = context.config
        self._context = context
        self._too_fast = too_fast
        self._browsers = BrowserRule(
            context.origins,
            bind_address=config.bind_address,
            allowed_origins=config.security.allowed_origins,
            token_required=context.principals.token_required,
        )
        self._callers = RateWindows(per_minute) if per_minute else None

    def check_page(self, request: web.Request) -> None:
        """Whether the page that a browser makes this request for may.

        Raises:
            HttpError: 403.
        """
        headers = request.headers
        host = headers.get("Host")
        if not self._browsers.host_passes(host):
            raise HttpError(
                403,
                "host_not_allowed",
                "Host must be an address of the loopback, localhost, `bind_address`, or the host of an origin in "
                "`security.allowed_origins`, where no token is asked for.",
            )
        if not self._browsers.origin_passes(headers.get("Origin"), host, headers.get("Sec-Fetch-Site")):
            raise HttpError(
                403,
                "origin_not_allowed",
                "Pages of this origin may not do that; list it in `security.allowed_origins`.",
            )

    def count(self, request: web.Request, principal: str) -> None:
        """One more request of this caller.

        Raises:
            HttpError: 429, there were too many.
        """
        caller = f"{principal} {self._context.address_of(request)}"
        if self._callers is not None and not self._callers.hit(caller, time.monotonic()):
            raise self._context.too_many(self._too_fast)

    def cors(self, request: web.Request) -> dict[str, str]:
        """What tells a browser that the page may read the answer; nothing where it may not."""
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        if origin is None or not self._browsers.host_passes(host):
            return {}
        if not self._browsers.origin_passes(origin, host, None):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _READABLE,
            "Vary": "Origin",
        }

    def preflight(self, request: web.Request, method: str) -> web.Response:
        """What a browser is told that asks before it sends."""
        headers = self.cors(request)
        if headers:
            wanted = request.headers.get("Access-Control-Request-Headers", "Authorization, Content-Type")
            headers |= {
                "Access-Control-Allow-Methods": method,
                "Access-Control-Allow-Headers": wanted,
                "Access-Control-Max-Age": "600",
            }
        return web.Response(status=204, headers=headers)
