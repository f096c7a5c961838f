"""Decides how one service is brought onto another configuration, and how it goes back if it does not come up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias

from openclaw_actors.actors.catalogue import is_essential
from openclaw_actors.actors.service import Service
from openclaw_actors.actors.supervisor_mcp import start_timeout_s
from openclaw_actors.config import GatewayConfig, encode
from openclaw_actors.errors import ActorError, AskRefused, AskTimeout
from openclaw_actors.messages import Address, InitFailed, OutcomeKind, Reconfigure, Reconfigured

__all__ = ["Host", "Step", "Steps"]

_EXIT_S = 6.0
_MARGIN_S = 2.0
_LOOK_EVERY_S = 0.02

Step: TypeAlias = tuple[OutcomeKind, str]
"""What became of it, and one line more."""


class Host(Protocol):
    """The supervisor, as far as a step needs it."""

    _config: GatewayConfig
    _draining: bool
    _services: dict[str, Service]
    _exits: dict[str, asyncio.Event]

    def _create(self, service: Service) -> None: ...
    async def _initialise(self, service: Service) -> InitFailed | None: ...
    def _restart(self, service: Service, incarnation: int) -> None: ...
    async def _end(self, name: str) -> None: ...
    def _broadcast(self) -> None: ...
    async def ask(self, address: Any, message: Any, *, timeout_s: float) -> Any: ...
    def create(self, actor_class: Any) -> Address: ...
    def child_pid(self, address: Address) -> int | None: ...
    def kill(self, pid: int) -> None: ...
    def spawn(self, coro: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]: ...
    def call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> asyncio.TimerHandle: ...


class Steps:
    """The ways to bring a service onto another configuration.

    Args:
        host: the supervisor.
        settings_of: what a service's next incarnation runs on.
    """

    def __init__(self, host: Host, settings_of: Callable[[Service], GatewayConfig]) -> None:
        self._host = host
        self._settings_of = settings_of

    async def tell(self, service: Service, config: GatewayConfig, secrets: Mapping[str, str]) -> Step:
        """Have the process that there is use another configuration; one that refuses keeps what it has."""
        before = service.config, service.secrets
        service.config, service.secrets = config, secrets
        if service.state == "stopped":
            return "told", "it is stopped, and is started on it"
        if service.address is None or service.state != "running":
            return await self._comes_up(service, *before)
        told = Reconfigure(settings=encode(self._settings_of(service)), secrets=dict(secrets))
        timeout_s = config.actors.ask_timeout_seconds
        try:
            answer: Reconfigured = await self._host.ask(service.address, told, timeout_s=timeout_s)
        except AskRefused as refusal:
            service.config, service.secrets = before
            return "kept_old", refusal.text or refusal.code
        except AskTimeout:
            return "told", f"it has not said so within {timeout_s:g} s"
        except ActorError:
            return await self._comes_up(service, *before)
        return "told", answer.text

    async def _comes_up(self, service: Service, config: GatewayConfig, secrets: Mapping[str, str]) -> Step:
        """One that is between two lives comes up on what is new; if not, on what was before."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + start_timeout_s(service.config, service.name) + _MARGIN_S
        while loop.time() < deadline and not self._host._draining:
            if service.state == "running":
                return "restarted", "it died meanwhile"
            await asyncio.sleep(_LOOK_EVERY_S)
        service.config, service.secrets = config, secrets
        return "kept_old", service.reason or "it does not come up"

    async def restart(self, service: Service, config: GatewayConfig, secrets: Mapping[str, str]) -> Step:
        """Replace the process; where the next one does not come up, by one that runs on what was before."""
        before = service.config, service.secrets
        if service.state == "stopped":
            service.config, service.secrets = config, secrets
            return "told", "it is stopped, and is started on it"
        await self._host._end(service.name)
        self._host._exits.pop(service.name, None)
        service.config, service.secrets = config, secrets
        failure = await self._up(service)
        if failure is None:
            return "restarted", ""
        service.config, service.secrets = before
        again = await self._up(service)
        if again is not None and not self._host._draining:
            service.stops, service.state, service.reason = False, "restarting", again.reason
            delay_s = service.config.supervision.backoff_seconds
            self._host.call_later(delay_s, self._host._restart, service, service.incarnation)
        return "kept_old", failure.reason

    async def start(self, service: Service) -> Step:
        """Have a service that there was none of."""
        if not is_essential(service.name):
            self._host._restart(service, 0)
            return "started", "nobody waits for it; 'status' shows how it is"
        failure = await self._up(service)
        if failure is None:
            return "started", ""
        del self._host._services[service.name]
        return "kept_old", f"there is none, as before: {failure.reason}"

    async def end(self, service: Service) -> Step:
        """Have none any more."""
        await self._host._end(service.name)
        self._host._exits.pop(service.name, None)
        del self._host._services[service.name]
        self._host._broadcast()
        return "ended", ""

    async def _up(self, service: Service) -> InitFailed | None:
        """One more incarnation; if it does not get ready, none is left, and the reason is returned."""
        if self._host._draining:
            return InitFailed(reason="the gateway is ending")
        service.stops = True  # as long as it is not ready, its exit is no death that brings the next one
        service.reason = ""
        self._host._create(service)
        failure = await self._host._initialise(service)
        if failure is None:
            service.stops = self._host._draining
            return None
        await self._gone(service)
        return failure

    async def _gone(self, service: Service) -> None:
        if service.address is None:
            return
        exited = self._host._exits.setdefault(service.name, asyncio.Event())
        try:
            async with asyncio.timeout(_EXIT_S):
                await exited.wait()
        except TimeoutError:
            if service.pid is not None:
                self._host.kill(service.pid)
            await exited.wait()
        finally:
            self._host._exits.pop(service.name, None)
