"""Supervisor: the parent of all services. It starts, watches, restarts and drains them, and answers operators.

It forks, so it has one thread and nothing in it blocks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import get_args

from thespian.actors import ActorExitRequest

from openclaw_actors import logs
from openclaw_actors.actors.catalogue import CHANNELS, OUTBOXES, is_essential, load, services_of
from openclaw_actors.actors.numbers import begin_numbers
from openclaw_actors.actors.operations import Operations
from openclaw_actors.actors.reloads import Reloads
from openclaw_actors.actors.rundir import mark_stopping
from openclaw_actors.actors.service import Service
from openclaw_actors.actors.session_operations import SessionOperations, SessionRequest
from openclaw_actors.actors.supervisor_approvals import OperatorApprovals
from openclaw_actors.actors.supervisor_mcp import McpServers, start_timeout_s
from openclaw_actors.actors.supervisor_outbox import OutboxRequests
from openclaw_actors.actors.supervisor_reload import ReloadRequests
from openclaw_actors.actors.supervisor_store import StoreRequests
from openclaw_actors.actors.supervisor_tree import ServiceTree
from openclaw_actors.actorsystem import ActorFailed, AsyncActor, address_key, handles
from openclaw_actors.config import decode, encode, find_paths
from openclaw_actors.config.origin import decode_origin
from openclaw_actors.errors import ActorError, AskRefused, AskTimeout
from openclaw_actors.messages import (
    Address,
    Directory,
    Done,
    Drain,
    Drained,
    DrainGateway,
    FlushStore,
    GatewayHealth,
    GetHealth,
    GetMetrics,
    GetStatus,
    Init,
    InitFailed,
    Intake,
    Message,
    Metrics,
    Ping,
    Pong,
    ProbeProvider,
    ProviderProbed,
    Ready,
    RestartActor,
    Shutdown,
    Status,
    StopActor,
    StoreHealth,
    StoreHealthRequest,
)

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

_LATE_S = 1.0
_ROTATE_EVERY_S = 5.0
_ASK_S = 2.0
_DRAIN_MARGIN_S = 3.0
_EXIT_S = 6.0
_FIRST_START_TRIES = 3
_FLUSH_S = 5.0
_OUTBOX_S = 1.0
"""So long an outbox may finish what is on its way, also where turns have used up the grace period."""


class Supervisor(
    OperatorApprovals, OutboxRequests, StoreRequests, McpServers, ReloadRequests, ServiceTree, AsyncActor
):
    """Owns the tree of actors."""

    process_name = "supervisor"
    sweeps = True

    def __init__(self) -> None:
        super().__init__()
        self._services: dict[str, Service] = {}
        self._by_address: dict[str, Service] = {}
        self._generation = 0
        self._started_at = time.monotonic()
        self._draining = False
        self._takes = True
        """New messages are taken."""
        self._up = False
        self._exits: dict[str, asyncio.Event] = {}

    # Life

    @handles(Init)
    async def initialise(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Starts every service; if one cannot start, everything ends with its reason."""
        self.incarnation = message.incarnation
        self._config = decode(message.settings)
        self._reloads = Reloads(self, decode_origin(message.origin), message.secrets)
        self._log_path = find_paths(
            self._config.state_dir, self._config.memory.storage_path, os.environ
        ).logs.joinpath("gateway.log")
        for name in services_of(self._config):
            self._services[name] = self._reloads.service(name)
        self._numbers = begin_numbers(self, self._services, self._config.state_dir)
        self._operations = Operations(self, self._services, self._config, self._numbers)
        self._conversations = SessionOperations(self._operations)
        essential = [each for each in self._services.values() if each.essential]
        for service in essential:
            self._create(service)
        failures = await asyncio.gather(*(self._bring_up(each) for each in essential))
        for service, failure in zip(essential, failures, strict=True):
            if failure is not None:
                self._draining = True
                return InitFailed(reason=f"{service.name}: {failure.reason}", code=failure.code)
        self._up = True
        for service in self._services.values():
            self._restart(service, 0)  # those that nobody waits for
        self.spawn(self._watch(), name="watch")
        self.call_later(_ROTATE_EVERY_S, self._rotate_log)
        return Ready(
            pid=os.getpid(),
            incarnation=message.incarnation,
            detail={"ws": self._services["websocket"].bound, "http": self._services["http"].bound},
        )

    def _create(self, service: Service) -> None:
        """Forks the service's next incarnation; `_initialise` follows at once."""
        address = self.create(load(service.name))
        service.begin(address, self.child_pid(address))
        self._by_address[address_key(address)] = service

    def _broadcast(self) -> None:
        self._generation += 1
        directory = self._directory()
        for service in self._services.values():
            if service.address is not None and service.state == "running":
                self.send(service.address, directory)

    def _directory(self) -> Directory:
        refs = {name: service.ref for name, service in self._services.items()}
        return Directory(
            generation=self._generation, services={name: ref for name, ref in refs.items() if ref is not None}
        )

    async def _bring_up(self, service: Service) -> InitFailed | None:
        """Starts a service for the first time; one that is killed meanwhile gets another chance."""
        failure = await self._initialise(service)
        for _ in range(_FIRST_START_TRIES - 1):
            if failure is None or failure.code != "died" or self._draining:
                break
            if service.address is not None:
                await self._exits.setdefault(service.name, asyncio.Event()).wait()
                del self._exits[service.name]
            self._create(service)
            failure = await self._initialise(service)
        return failure

    async def _initialise(self, service: Service) -> InitFailed | None:
        """Asks the new incarnation to set itself up, and tells everybody where it lives, before it can do anything.

        Returns:
            Why it could not.
        """
        address = service.address
        if address is None:  # there was no room for its process, and its exit was handled before this
            return InitFailed(reason="no process could be made for it", code="died")
        init = Init(
            name=service.name,
            incarnation=service.incarnation,
            instance=service.instance,
            settings=encode(self._reloads.settings_of(service)),
            directory=self._directory(),
            secrets=dict(service.secrets),
        )
        timeout_s = start_timeout_s(service.config, service.name)
        asking = asyncio.ensure_future(self.ask(address, init, timeout_s=timeout_s))
        await asyncio.sleep(0)  # it is on its way: nobody's message may come before it
        self._broadcast()
        try:
            answer = await asking
        except AskTimeout:
            answer = InitFailed(reason=f"it was not ready within {timeout_s:g} s")
        except ActorError as error:
            reason = f"it died while it started ({type(error).__name__})"
            answer = InitFailed(reason=reason, code="died")
        if isinstance(answer, InitFailed):
            service.reason = answer.reason
            if service.address == address and service.pid is not None:
                self.kill(service.pid)
            return answer
        if not self._takes and service.name in ("router", *CHANNELS):
            self.spawn(self._tell_intake(service.name), name="go on draining")
        service.state = "running"
        service.bound = answer.detail.get("address", "")
        service.offers = answer.detail.get("offers", "")
        if service.bound or service.offers:
            self._broadcast()  # the other channel leads clients there; sessions use what is offered
        elif service.address is not None:
            self.send(service.address, self._directory())
        return None

    # Deaths

    def on_child_failed(self, failed: ActorFailed) -> None:
        """A service crashes; its exit follows."""
        service = self._by_address.get(address_key(failed.address))
        if service is not None:
            service.reason = failed.reason

    def on_child_exited(self, address: Address) -> None:
        """A service's process is gone: another is started, unless it was to go."""
        service = self._by_address.pop(address_key(address), None)
        if service is None or service.address != address:
            return
        service.ended()
        if service.name in self._exits:
            self._exits[service.name].set()
        if service.stops or (self._draining and not self._up):
            service.state = "stopping"
            return
        if not self._up:
            return  # the first start fails, and says why
        restart = service.policy.died(time.monotonic())
        self._numbers.restarted(service.name)
        service.state = "failed" if restart.failed else "restarting"
        logger.error(
            "%s died%s; restarted in %.1f s",
            service.name,
            f" ({service.reason})" if service.reason else "",
            restart.delay_s,
        )
        self.call_later(restart.delay_s, self._restart, service, service.incarnation)

    def _restart(self, service: Service, incarnation: int) -> None:
        if service.incarnation == incarnation and service.address is None and not service.stops:
            service.reason = ""
            self._create(service)
            self.spawn(self._initialise(service), name=f"initialise {service.name}")

    # The watchdog

    async def _watch(self) -> None:
        while True:
            for service in self._services.values():
                if service.state == "running":
                    self.spawn(self._ping(service), name=f"ping {service.name}")
            await asyncio.sleep(self._config.supervision.ping_interval_seconds)

    async def _ping(self, service: Service) -> None:
        address, pid = service.address, service.pid
        timeout_s = self._config.supervision.ping_timeout_seconds
        asked_at = service.pinged_at = time.monotonic()
        try:
            pong: Pong = await self.ask(address, Ping(), timeout_s=timeout_s)
        except AskTimeout:
            late_s = time.monotonic() - asked_at - timeout_s
            if service.address == address and pid is not None and late_s < _LATE_S:
                service.reason = f"no answer for {timeout_s:g} s"
                logger.error("%s (pid %d) does not answer and is killed", service.name, pid)
                self.kill(pid)
        except ActorError:
            return  # its exit is seen
        else:
            if service.address == address:
                service.pong, service.ponged_at = pong, time.monotonic()
                service.policy.lived(time.monotonic())

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says whether it drains; `start` asks."""
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing="idle" if self._takes and not self._draining else "draining",
            problems=self._problems(),
        )

    # Operators

    def _problems(self, *, all_of_them: bool = False) -> tuple[str, ...]:
        """Why the gateway is not ready, and if asked for, also what it can do without."""
        draining = ("draining",) if self._draining or not self._takes else ()
        services = [each for each in self._services.values() if each.essential or all_of_them]
        warnings = self._reloads.warnings if all_of_them else ()
        found = (problem for each in services for problem in (each.told if all_of_them else each.problems))
        return draining + tuple(found) + warnings

    @handles(GetHealth)
    def health(self, message: GetHealth, sender: Address) -> GatewayHealth:
        """Says how things are, from what is known already."""
        return GatewayHealth(
            live=True,
            ready=self._up and not self._problems(),
            problems=self._problems(all_of_them=True),
            uptime_seconds=time.monotonic() - self._started_at,
        )

    @handles(GetStatus)
    async def status(self, message: GetStatus, sender: Address) -> Status:
        """The actor tree."""
        root, counters = await self._operations.tree(self.incarnation or 0, self._started_at)
        return Status(
            root=root,
            counters=counters,
            healthy=not self._problems(),
            problems=self._problems(all_of_them=True),
            uptime_seconds=time.monotonic() - self._started_at,
            draining=self._draining or not self._takes,
        )

    @handles(GetMetrics)
    async def metrics(self, message: GetMetrics, sender: Address) -> Metrics:
        """What everybody counts."""
        return Metrics(values=await self._numbers.values())

    @handles(*get_args(SessionRequest))
    async def about_conversations(self, message: SessionRequest, sender: Address) -> Message:
        """Conversations, live, stored and archived."""
        return await self._conversations.answer(message)

    @handles(StoreHealthRequest)
    async def store_health(self, message: StoreHealthRequest, sender: Address) -> StoreHealth:
        """Whether the store can write, and what of it is damaged."""
        return await self._operations.store_health(message)

    @handles(ProbeProvider)
    async def probe_provider(self, message: ProbeProvider, sender: Address) -> ProviderProbed:
        """Whether the model provider is there."""
        return await self._operations.probe_provider(message)

    @handles(RestartActor)
    async def restart_actor(self, message: RestartActor, sender: Address) -> Done:
        """Restarts any actor by its name in the tree."""
        if message.name == "supervisor":
            self.stop_after_answer("restarted by an operator")
            return Done(text="supervisor is restarted, with everything below it")
        service = self._services.get(message.name)
        if service is None:
            return await self._conversations.restart(message.name)
        if service.stops and not self._draining:
            service.stops = False
        service.policy.restarted_by_hand()
        service.reason = "restarted by an operator"
        if service.pid is not None:
            self.kill(service.pid)
        else:
            self._restart(service, service.incarnation)
        return Done(text=f"{service.name} is restarted", code="restarted")

    @handles(StopActor)
    async def stop_actor(self, message: StopActor, sender: Address) -> Done:
        """Ends a channel until it is restarted, or has a session leave memory."""
        name = message.name
        if name == self.process_name or (
            name in self._services and name not in CHANNELS and is_essential(name)
        ):
            raise AskRefused(
                "not_possible",
                f"{name} cannot be stopped, only channels and conversations can; "
                f"'actors restart {name}' restarts it, 'stop' ends the gateway",
            )
        service = self._services.get(name)
        if service is None:
            return await self._conversations.end(name)
        if self._draining:
            raise AskRefused("draining", "the gateway is ending")
        if service.stops:
            return Done(text=f"{name} is stopped already", code="stopped")
        await self._end(name)
        self._exits.pop(name, None)
        service.state = "stopped"
        self._broadcast()
        return Done(text=f"{name} is stopped; 'actors restart {name}' starts it again", code="stopped")

    @handles(DrainGateway)
    async def drain_or_serve(self, message: DrainGateway, sender: Address) -> Done:
        """Refuses new messages until the end, or until it is told to take them again."""
        if self._draining:
            raise AskRefused("draining", "the gateway is ending already")
        self._takes = message.cancel
        await asyncio.gather(*(self._tell_intake(name) for name in ("router", *CHANNELS)))
        if self._takes:
            return Done(text="new messages are taken again", code="serving")
        return Done(text="new messages are refused; what was accepted goes on", code="draining")

    async def _tell_intake(self, name: str) -> None:
        await self._ask(name, Intake(open=self._takes), _ASK_S)

    # The end

    @handles(Shutdown)
    def shut_down(self, message: Shutdown, sender: Address) -> Done:
        """Drains and ends everything."""
        if self._draining:
            return Done(text="already draining")
        self._draining = True
        run_dir = Path(address_key(self.myAddress)).parent
        try:
            mark_stopping(run_dir)
        except OSError as error:
            # It ends all the same. Only a stop that did not come by a signal to `start` is then taken for an accident.
            logger.error("the end on purpose cannot be noted in %s: %s", run_dir, error.strerror)
        grace_s = self._config.graceful_shutdown_seconds if message.grace_s is None else message.grace_s
        self.spawn(self._drain(grace_s), name="drain")
        return Done(text=f"draining, for at most {grace_s:g} s")

    async def _drain(self, grace_s: float) -> None:
        began_at = time.monotonic()
        self._numbers.drain.begins()
        await asyncio.gather(*(self._ask(name, Drain(grace_s=0.0), _ASK_S) for name in CHANNELS))
        drained = await self._ask("router", Drain(grace_s=grace_s), grace_s + _DRAIN_MARGIN_S)
        left_s = max(0.0, began_at + grace_s - time.monotonic())
        await self._ask("model", Drain(grace_s=left_s), left_s + _ASK_S)
        await asyncio.gather(*(self._end(name) for name in CHANNELS))
        await asyncio.gather(self._end("router"), self._end("model"))
        await asyncio.gather(*(self._end(name) for name in self._services if not is_essential(name)))
        for name in (name for name in OUTBOXES if name in self._services):
            left_s = max(_OUTBOX_S, began_at + grace_s - time.monotonic())
            await self._ask(name, Drain(grace_s=left_s), left_s + _ASK_S)
            await self._end(name)
        await self._ask("persistence", FlushStore(deadline_s=_FLUSH_S), _FLUSH_S + _ASK_S)
        await self._end("persistence")
        unfinished = drained.unfinished if isinstance(drained, Drained) else 0
        seconds = self._numbers.drain.ends()
        logger.info("drained in %.2f s; %d turns are resumed at the next start", seconds, unfinished)
        self.stop("drained")

    async def _ask(self, name: str, message: Message, timeout_s: float) -> object:
        address = self._services[name].address
        if address is None:
            return None
        try:
            return await self.ask(address, message, timeout_s=timeout_s)
        except AskRefused as refusal:
            logger.warning("%s refuses %s: %s", name, type(message).__name__, refusal)
        except ActorError as error:
            logger.warning("%s does not answer %s: %s", name, type(message).__name__, type(error).__name__)
        return None

    async def _end(self, name: str) -> None:
        """Has a service exit, in time or by SIGKILL."""
        service = self._services[name]
        service.stops = True
        if service.address is None:
            return
        service.state = "stopping"
        exited = self._exits.setdefault(name, asyncio.Event())
        self.send(service.address, ActorExitRequest(recursive=True))
        try:
            async with asyncio.timeout(_EXIT_S):
                await exited.wait()
        except TimeoutError:
            logger.warning("%s does not end and is killed", name)
            if service.pid is not None:
                self.kill(service.pid)
                await exited.wait()

    def _rotate_log(self) -> None:
        limits = self._config.logging
        for path in (self._log_path, self._log_path.with_name("audit.jsonl")):
            logs.rotate_if_needed(path, max_bytes=limits.max_bytes, backups=limits.backups)
        self.call_later(_ROTATE_EVERY_S, self._rotate_log)
