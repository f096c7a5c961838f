"""The route that monitoring asks."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext
from openclaw_actors.channels.metrics import metrics_page

__all__ = ["MetricsRoutes"]


class MetricsRoutes:
    """`/metrics`, for those with a token where one is set; while the gateway drains, too."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context

    def routes(self) -> Iterable[web.RouteDef]:
        return (web.get("/metrics", self._metrics),)

    async def _metrics(self, request: web.Request) -> web.Response:
        self._context.principal_of(request)
        accept = ",".join(request.headers.getall("Accept", []))
        page = metrics_page(await self._context.health.metrics(), accept)
        return web.Response(status=page.status, body=page.body, headers={"Content-Type": page.content_type})
