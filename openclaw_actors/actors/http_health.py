"""Routes that say how the gateway is."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext
from openclaw_actors.channels.http.operations import HEALTH_OPERATIONS
from openclaw_actors.channels.pages import health_page, readiness_page

__all__ = ["HealthRoutes"]

_JSON = "application/json"
_DRAINING = "http: draining"


class HealthRoutes:
    """`/health`, `/health/live` and `/health/ready`; nobody needs a token to ask."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        context.operations.extend(HEALTH_OPERATIONS)

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/health", self._live),
            web.get("/health/live", self._live),
            web.get("/health/ready", self._ready),
        )

    async def _live(self, request: web.Request) -> web.Response:
        health = await self._context.health.health()
        return web.Response(body=health_page(health.uptime_seconds), content_type=_JSON)

    async def _ready(self, request: web.Request) -> web.Response:
        draining = self._context.draining
        health = await self._context.health.health()
        status, body = readiness_page(
            ready=health.ready and not draining,
            problems=(*health.problems, _DRAINING) if draining else health.problems,
            uptime_s=health.uptime_seconds,
        )
        return web.Response(status=status, body=body, content_type=_JSON)
