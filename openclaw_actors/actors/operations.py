"""What operators ask the supervisor for, answered by asking the router and the store."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.actors.service import Service
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config import GatewayConfig
from openclaw_actors.errors import ActorError, AskRefused
from openclaw_actors.messages import (
    Children,
    Done,
    EventsPage,
    GetChildren,
    GetEvents,
    GetSessions,
    ListSessions,
    Message,
    Ping,
    Pong,
    ProbeProvider,
    ProviderProbed,
    ReadEvents,
    ReadSession,
    RestartSession,
    SessionDetail,
    SessionList,
    SessionPage,
    ShowSession,
    StatusNode,
    StopOutcome,
    StopSession,
    StopTurn,
    StoreHealth,
    StoreHealthRequest,
)

__all__ = ["Operations"]

_QUICK_S = 0.5


class Operations:
    """Operators' requests about the tree and about sessions.

    Args:
        supervisor: in whose name the services are asked.
        services: the supervisor's own, by name.
    """

    def __init__(
        self, supervisor: AsyncActor, services: Mapping[str, Service], config: GatewayConfig
    ) -> None:
        self._supervisor = supervisor
        self._services = services
        self._timeout_s = config.actors.ask_timeout_seconds

    async def tree(self, incarnation: int, started_at: float) -> tuple[StatusNode, dict[str, float]]:
        """The actor tree as it is now, and the counters of all actors."""
        refreshing = asyncio.gather(*(self._refresh(service) for service in self._services.values()))
        children = await self._children()
        await refreshing
        counters = dict(children.counters)
        for service in self._services.values():
            counters[f'actor_restarts_total{{actor="{service.name}"}}'] = service.policy.total
            if service.pong is not None:
                counters.update(service.pong.counters)
        counters["actors_failed"] = sum(service.policy.failed for service in self._services.values())
        nodes = tuple(
            service.node(children.nodes if service.name == "router" else ())
            for service in self._services.values()
        )
        root = StatusNode(
            name="supervisor",
            kind="supervisor",
            state="running",
            pid=os.getpid(),
            incarnation=incarnation,
            restarts=max(0, incarnation - 1),
            mailbox_depth=self._supervisor.mailbox_depth - 1,
            age_seconds=time.monotonic() - started_at,
            rss_bytes=resident_bytes(os.getpid()),
            doing="idle",
            children=nodes,
        )
        return root, counters

    async def sessions(self, request: GetSessions) -> SessionList:
        """Stored sessions, newest first, with those that live marked; live ones that are not stored yet come first."""
        page: SessionPage = await self._ask(
            "persistence",
            ListSessions(
                offset=request.offset,
                limit=request.limit,
                contains=request.contains,
                prefix=request.prefix,
            ),
        )
        live = {node.name: node for node in (await self._children()).nodes}
        found = [
            msgspec.structs.replace(each, state="live")
            if each.session in live and each.state == "stored"
            else each
            for each in page.sessions
        ]
        return SessionList(sessions=tuple(found), total=page.total)

    async def show_session(self, request: ShowSession) -> SessionDetail:
        """A session's summary, its process if it lives, and its newest events."""
        events: EventsPage = await self._ask(
            "persistence", ReadSession(session=request.session, last=request.last)
        )
        page: SessionPage = await self._ask("persistence", ListSessions(contains=request.session, limit=1000))
        live = {node.name: node for node in (await self._children()).nodes}.get(request.session)
        summary = next((each for each in page.sessions if each.session == request.session), None)
        if summary is None:
            raise AskRefused("unknown", f"no session {request.session}")
        if live is not None and summary.state == "stored":
            summary = msgspec.structs.replace(summary, state="live")
        return SessionDetail(summary=summary, live=live, events=events.events)

    async def events(self, request: GetEvents) -> EventsPage:
        """A page of a session's durable events."""
        page: EventsPage = await self._ask(
            "persistence",
            ReadEvents(session=request.session, after_seq=request.after_seq, max_events=request.max_events),
        )
        if not page.events:
            # A session without events is none: the store refuses to read its newest.
            await self._ask("persistence", ReadSession(session=request.session, last=1))
        return page

    async def store_health(self, request: StoreHealthRequest) -> StoreHealth:
        """Whether the store can write, after a real write."""
        health: StoreHealth = await self._ask("persistence", request)
        return health

    async def probe_provider(self, request: ProbeProvider) -> ProviderProbed:
        """How far the model's actor came when it called the provider."""
        timeout_s = request.timeout_s + self._timeout_s
        probed: ProviderProbed = await self._ask("model", request, timeout_s=timeout_s)
        return probed

    async def stop_session(self, request: StopSession) -> Done:
        """Ends the running turn."""
        outcome: StopOutcome = await self._ask(
            "router", StopTurn(session=request.session, queue=request.queue)
        )
        if not outcome.stopped:
            return Done(text=f"nothing runs in {request.session}")
        turns = "turn" if outcome.stopped == 1 else "turns"
        return Done(text=f"stopped {outcome.stopped} {turns} of {request.session}")

    async def restart_session(self, session: str) -> Done:
        """Kills the session's process; its next incarnation continues."""
        done: Done = await self._ask("router", RestartSession(session=session))
        return done

    async def forward(self, name: str, message: Message) -> Any:
        """Asks a service in an operator's place. Raises AskRefused, also where it does not answer."""
        return await self._ask(name, message)

    async def _children(self) -> Children:
        try:
            children: Children = await self._ask("router", GetChildren(), timeout_s=_QUICK_S)
        except AskRefused:
            return Children(nodes=(), counters={})
        return children

    async def _refresh(self, service: Service) -> None:
        address = service.address
        if address is None or service.state != "running":
            return
        try:
            pong: Pong = await self._supervisor.ask(address, Ping(), timeout_s=_QUICK_S)
        except ActorError:
            return  # what was known last has to do
        if service.address == address:
            service.pong = pong

    async def _ask(self, name: str, message: Message, *, timeout_s: float | None = None) -> Any:
        address = self._services[name].address
        if address is None:
            raise AskRefused("unavailable", f"{name} is being restarted; try again in a moment")
        try:
            return await self._supervisor.ask(address, message, timeout_s=timeout_s or self._timeout_s)
        except AskRefused:
            raise
        except ActorError as error:
            raise AskRefused("unavailable", f"{name} does not answer ({type(error).__name__})") from None
