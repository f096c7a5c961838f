"""What operators ask the supervisor for about the tree, answered by asking the services."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Mapping
from typing import Any

from openclaw_actors.actors.numbers import Numbers
from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.actors.service import Service
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.metrics import is_detail
from openclaw_actors.errors import ActorError, AskRefused
from openclaw_actors.messages import (
    Children,
    GetChildren,
    Message,
    ProbeProvider,
    ProviderProbed,
    StatusNode,
    StoreHealth,
    StoreHealthRequest,
)

__all__ = ["Operations"]

_QUICK_S = 0.5


class Operations:
    """Operators' requests about the tree; asks services for other requests, too.

    Args:
        supervisor: in whose name the services are asked.
        services: the supervisor's own, by name.
        numbers: what all actors count.
    """

    def __init__(
        self,
        supervisor: AsyncActor,
        services: Mapping[str, Service],
        config: GatewayConfig,
        numbers: Numbers,
    ) -> None:
        self._supervisor = supervisor
        self._services = services
        self._numbers = numbers
        self._timeout_s = config.actors.ask_timeout_seconds

    def use(self, config: GatewayConfig) -> None:
        """Another configuration is in force."""
        self._timeout_s = config.actors.ask_timeout_seconds

    async def tree(self, incarnation: int, started_at: float) -> tuple[StatusNode, dict[str, float]]:
        """The actor tree as it is now, and what all actors count."""
        children, _ = await asyncio.gather(self.children(), self._numbers.refresh())
        known = self._numbers.known().items()
        counters = {key: value for key, value in known if not (is_detail(key) or math.isnan(value))}
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

    async def store_health(self, request: StoreHealthRequest) -> StoreHealth:
        """Whether the store can write, after a real write."""
        health: StoreHealth = await self.ask("persistence", request)
        return health

    async def probe_provider(self, request: ProbeProvider) -> ProviderProbed:
        """How far the model's actor came when it called the provider."""
        timeout_s = request.timeout_s + self._timeout_s
        probed: ProviderProbed = await self.ask("model", request, timeout_s=timeout_s)
        return probed

    async def children(self) -> Children:
        """The router's sessions; none while it does not answer."""
        try:
            children: Children = await self.ask("router", GetChildren(), timeout_s=_QUICK_S)
        except AskRefused:
            return Children(nodes=())
        return children

    async def ask(self, name: str, message: Message, *, timeout_s: float | None = None) -> Any:
        """Asks a service by its name. Raises AskRefused: its own refusals, and `unavailable`."""
        address = self._services[name].address
        if address is None:
            raise AskRefused("unavailable", f"{name} is being restarted; try again in a moment")
        try:
            return await self._supervisor.ask(address, message, timeout_s=timeout_s or self._timeout_s)
        except AskRefused:
            raise
        except ActorError as error:
            raise AskRefused("unavailable", f"{name} does not answer ({type(error).__name__})") from None
