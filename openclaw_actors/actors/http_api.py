"""Carries out the operations under `/api`, by asking the supervisor what the command line asks it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from aiohttp import web

from openclaw_actors import __version__
from openclaw_actors.actors.http_context import HttpContext
from openclaw_actors.actors.http_operations import Call, OperationRoutes
from openclaw_actors.channels.http.openapi import openapi_document
from openclaw_actors.channels.http.operations import OPERATIONS
from openclaw_actors.channels.http.views import (
    HealthView,
    StatusView,
    VersionView,
    health_view,
    status_view,
)
from openclaw_actors.messages import (
    Done,
    EventsPage,
    GetEvents,
    GetSessions,
    GetStatus,
    RestartActor,
    RestartSession,
    SessionDetail,
    SessionList,
    ShowSession,
    Shutdown,
    StopSession,
)

__all__ = ["ApiRoutes"]

_ACT_S = 15.0
"""For what may have to wait for a process to end; as long as the command line waits."""
_LEAVE_S = 0.2
"""For an answer to leave."""
_ABOVE_AND_HERE = ("http", "supervisor")
"""Actors whose end is the end of this process."""
_NAME = "openclaw-actors"


class ApiRoutes:
    """The group of routes under `/api`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        handlers = {operation.name: getattr(self, operation.name) for operation in OPERATIONS}
        self._routes = OperationRoutes(context, OPERATIONS, handlers)

    def routes(self) -> Iterable[web.RouteDef]:
        """A route for each operation."""
        return self._routes.routes()

    # The gateway

    async def get_status(self, call: Call) -> StatusView:
        """The tree of actors."""
        return status_view(await self._ask(GetStatus()))

    async def get_health(self, call: Call) -> HealthView:
        """What the supervisor says of health."""
        return health_view(await self._context.health.health())

    async def get_version(self, call: Call) -> VersionView:
        """Ours."""
        return VersionView(name=_NAME, version=__version__)

    async def get_document(self, call: Call) -> dict[str, Any]:
        """The document, made when it is first asked for."""
        return self._document

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi_document(
            OPERATIONS, version=__version__, token_required=self._context.principals.token_required
        )

    async def drain(self, call: Call) -> Done:
        """Begins the end; the answer comes before it."""
        done: Done = await self._ask(Shutdown(grace_s=call.body.grace_seconds))
        return done

    # Sessions

    async def list_sessions(self, call: Call) -> SessionList:
        """The caller's conversations."""
        query = call.query
        sessions: SessionList = await self._ask(
            GetSessions(
                offset=query.offset,
                limit=query.limit,
                contains=query.contains,
                state=query.state,
                prefix=call.prefix,
            )
        )
        return sessions

    async def get_session(self, call: Call) -> SessionDetail:
        """One conversation."""
        detail: SessionDetail = await self._ask(ShowSession(session=call.path.key, last=call.query.last))
        return detail

    async def list_events(self, call: Call) -> EventsPage:
        """A page of a conversation's events."""
        query = call.query
        page: EventsPage = await self._ask(
            GetEvents(session=call.path.key, after_seq=query.after, max_events=query.limit)
        )
        return page

    async def stop_session(self, call: Call) -> Done:
        """Ends the running turn."""
        return await self._act(StopSession(session=call.path.key, queue=call.body.queue))

    async def restart_session(self, call: Call) -> Done:
        """Restarts a conversation's process."""
        return await self._act(RestartSession(session=call.path.key))

    # Actors

    async def restart_actor(self, call: Call) -> Done:
        """Restarts any actor by its name; the answer leaves before the process that gives it ends."""
        name = call.path.name
        if name in _ABOVE_AND_HERE:
            self._context.ask_supervisor_soon(RestartActor(name=name), after_s=_LEAVE_S)
            return Done(text=f"{name} is restarted")
        return await self._act(RestartActor(name=call.path.name))

    # Asking

    async def _ask(self, message: Any) -> Any:
        return await self._context.ask_supervisor(message)

    async def _act(self, message: Any) -> Done:
        done: Done = await self._context.ask_supervisor(message, timeout_s=_ACT_S)
        return done
