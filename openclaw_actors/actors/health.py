"""Knows how the gateway is, by asking the supervisor, however many people ask at once."""

from __future__ import annotations

import asyncio
import time

from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout, QueueFull
from openclaw_actors.messages import Address, GatewayHealth, GetHealth, GetMetrics, Metrics

__all__ = ["HealthWatch"]

_ASK_S = 1.0
_FRESH_S = 0.2


class HealthWatch:
    """Asks the supervisor, at most once at a time and not more often than it matters.

    Args:
        actor: who asks.
        supervisor: whom.
    """

    def __init__(self, actor: AsyncActor, supervisor: Address) -> None:
        self._actor = actor
        self._supervisor = supervisor
        self._asking: asyncio.Task[GatewayHealth] | None = None
        self._known: GatewayHealth | None = None
        self._known_at = 0.0
        self._started_at = time.monotonic()

    async def health(self) -> GatewayHealth:
        """What the supervisor says; if it does not answer within a second, that is the failing part."""
        if self._known is not None and time.monotonic() - self._known_at < _FRESH_S:
            return self._known
        if self._asking is None or self._asking.done():
            self._asking = self._actor.spawn(self._ask(), name="health")
        # One asker who gives up must not take the answer from the others.
        return await asyncio.shield(self._asking)

    def forget(self) -> None:
        """What was heard, or is being asked, does not hold any more."""
        self._known = self._asking = None

    async def metrics(self) -> dict[str, float] | None:
        """All numbers of the gateway, by series; None if the supervisor does not answer."""
        try:
            metrics: Metrics = await self._actor.ask(self._supervisor, GetMetrics(), timeout_s=_ASK_S)
        except (AskTimeout, ActorGone, AskRefused, QueueFull):
            return None
        return metrics.values

    async def _ask(self) -> GatewayHealth:
        try:
            health: GatewayHealth = await self._actor.ask(self._supervisor, GetHealth(), timeout_s=_ASK_S)
        except (AskTimeout, ActorGone, AskRefused, QueueFull):
            health = GatewayHealth(
                live=True, ready=False, problems=("supervisor: no answer",), uptime_seconds=self._uptime()
            )
        else:
            self._started_at = time.monotonic() - health.uptime_seconds
        if asyncio.current_task() is self._asking:
            self._known, self._known_at = health, time.monotonic()
        return health

    def _uptime(self) -> float:
        return time.monotonic() - self._started_at
