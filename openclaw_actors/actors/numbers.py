"""Gathers the numbers of the whole gateway for whoever scrapes: counts from shared memory, the rest from signs of life.

Sessions are never asked, so a scrape costs the same however many there are.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

from openclaw_actors.actors.board import Board, installed
from openclaw_actors.actors.drain_time import DrainTime
from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.actors.service import Service
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.core.metrics import zeros
from openclaw_actors.core.series import merged, series
from openclaw_actors.errors import ActorError
from openclaw_actors.messages import Ping, Pong

__all__ = ["Numbers", "begin_numbers"]

_EVERY_S = 0.05
"""The services are asked at most so often, however many people scrape; who comes sooner waits for the next time."""
_WAIT_S = 0.25
"""For a service that does not answer; after that, what it said last has to do."""
_GIVE_UP_S = 10.0


class Numbers:
    """What `GetMetrics` is answered with.

    Args:
        supervisor: in whose name the services are asked.
        services: the supervisor's own, by name.
        board: where all services count.
        drain: knows how long the drain takes, or the last one took.
    """

    def __init__(
        self,
        supervisor: AsyncActor,
        services: Mapping[str, Service],
        board: Board,
        drain: DrainTime,
    ) -> None:
        self._supervisor = supervisor
        self._services = services
        self._board = board
        self.drain = drain
        self._zeros = zeros()
        self._started_at = time.time()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._next: asyncio.Task[None] | None = None
        self._asked_at = -_EVERY_S

    def restarted(self, service: str) -> None:
        """Count the death of a service that gets another process."""
        self._board.region("supervisor")[series("actor_restarts_total", actor=service)] += 1

    async def values(self) -> dict[str, float]:
        """All series, as of now."""
        await self.refresh()
        return self.known()

    async def refresh(self) -> None:
        """Have every service give a sign of life that is asked for after this call, if it answers in time."""
        if self._next is None:
            self._next = self._supervisor.spawn(self._refresh(), name="refresh")
        # One who gives up must not take the answer from the others.
        await asyncio.shield(self._next)

    async def _refresh(self) -> None:
        delay_s = self._asked_at + _EVERY_S - time.monotonic()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        self._next = None
        self._asked_at = time.monotonic()
        fresh = [self._ask(service) for service in self._services.values() if self._can_be_asked(service)]
        if fresh:
            await asyncio.wait(fresh, timeout=_WAIT_S)

    def _can_be_asked(self, service: Service) -> bool:
        return service.state == "running" and service.address is not None and service.name not in self._asking

    def _ask(self, service: Service) -> asyncio.Task[None]:
        asking = self._supervisor.spawn(self._ping(service), name=f"numbers of {service.name}")
        self._asking[service.name] = asking
        # One that does not answer is waited for once, and not asked again meanwhile.
        asking.add_done_callback(lambda _: self._asking.pop(service.name, None))
        return asking

    async def _ping(self, service: Service) -> None:
        address = service.address
        try:
            pong: Pong = await self._supervisor.ask(address, Ping(), timeout_s=_GIVE_UP_S)
        except ActorError:
            return  # what was known last has to do; the watchdog deals with it
        if service.address == address:
            service.pong = pong

    def known(self) -> dict[str, float]:
        """All series, from what is known already."""
        gauges = [service.pong.gauges for service in self._services.values() if service.pong is not None]
        return {**self._zeros, **self._board.values(), **merged(self._own(), *gauges)}

    def _own(self) -> dict[str, float]:
        """What the supervisor sees of itself and of the services."""
        services = self._services.values()
        own = {
            "actors_failed": float(sum(service.policy.failed for service in services)),
            "drain_seconds": self.drain.seconds(),
            "start_time_seconds": self._started_at,
            series("mailbox_depth", actor="supervisor"): max(0, self._supervisor.mailbox_depth - 1),
            series("process_resident_bytes", actor="supervisor"): resident_bytes(os.getpid()),
        }
        for service in services:
            depth = service.pong.mailbox_depth if service.pong is not None else 0
            own[series("mailbox_depth", actor=service.name)] = depth
            own[series("process_resident_bytes", actor=service.name)] = resident_bytes(service.pid)
        return own


def begin_numbers(supervisor: AsyncActor, services: Mapping[str, Service], state_dir: str) -> Numbers:
    """The numbers of a supervisor that begins; from here on it counts where its next incarnation goes on."""
    board = installed()
    supervisor.counters = board.region("supervisor")
    restarts = (supervisor.incarnation or 1) - 1
    if restarts:
        supervisor.counters[series("actor_restarts_total", actor="supervisor")] = restarts
    return Numbers(supervisor, services, board, DrainTime(state_dir))
