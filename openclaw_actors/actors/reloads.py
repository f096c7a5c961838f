"""Carries out reloads for the supervisor: has the configuration read, and brings every actor that it concerns onto it.

What differs, and what it takes, is decided in `config.changes`; how one service is brought over, in `reload_steps`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from openclaw_actors import logs
from openclaw_actors.actors.catalogue import is_essential, load, services_of
from openclaw_actors.actors.operations import Operations
from openclaw_actors.actors.reload_steps import Host, Steps
from openclaw_actors.actors.restart_limits import restart_limits
from openclaw_actors.actors.service import Service
from openclaw_actors.actors.service_settings import secrets_of, with_ports
from openclaw_actors.actors.settings_keeper import SettingsKeeper
from openclaw_actors.config import GatewayConfig, decode, encode
from openclaw_actors.config.changes import Change, Task, changes, tasks_of
from openclaw_actors.config.origin import HeldBack, Origin, decode_origin, encode_origin
from openclaw_actors.core.supervision import RestartPolicy
from openclaw_actors.errors import ActorError, AskRefused
from openclaw_actors.messages import (
    ActorOutcome,
    ConfigurationRead,
    KeyChange,
    OutcomeKind,
    ReadConfiguration,
    Reload,
    Reloaded,
    SettingsOffered,
)

__all__ = ["Reloads"]

logger = logging.getLogger(__name__)

_READ_S = 10.0
"""For the file, and those of secrets: a disk that does not answer must not hold up anything."""
_HOLD_S = 5.0
"""For `start` to take what it is to keep."""
_LEAVE_S = 0.2
"""For the answer to leave through a service that is restarted after it."""
_TO_DO: Mapping[Task, OutcomeKind] = {
    "tell": "to_tell",
    "restart": "to_restart",
    "start": "to_start",
    "end": "to_end",
}
_OURS = ("start", "supervisor")
_NOT_SERVICES = (*_OURS, "sessions")

Tasks = dict[str, tuple[Task, tuple[str, ...]]]


@dataclass
class _Later:
    """What of a reload comes after its answer."""

    tasks: Tasks = field(default_factory=dict)
    good: bytes = b""


class Supervising(Host, Protocol):
    """The supervisor, as far as a reload needs it."""

    _config: GatewayConfig
    _draining: bool
    _up: bool
    _operations: Operations


class Reloads:
    """All reloads of one supervisor's life.

    Args:
        supervisor: it.
        origin: where its configuration comes from.
        secrets: dotted key -> reference, of all secrets.
    """

    def __init__(self, supervisor: Supervising, origin: Origin, secrets: Mapping[str, str]) -> None:
        self.keeper = SettingsKeeper()
        self._supervisor = supervisor
        self._origin = origin
        self._secrets = dict(secrets)
        self._steps = Steps(supervisor, self.settings_of)
        self._generation = 1
        self._busy = False
        self._refused = ""
        """Why the last reload took nothing."""

    # What services run on

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the configuration, though the gateway runs."""
        held = (
            f"{name}: runs on the configuration before the last reload" for name in self._origin.held_back
        )
        return (*(each for each in (self._origin.warning, self._refused) if each), *held)

    def service(self, name: str) -> Service:
        """A service that has no process yet."""
        config, secrets = self._supervisor._config, self._secrets
        if (held := self._origin.held_back.get(name)) is not None:
            config, secrets = held.config, held.secrets
        return Service(
            name,
            RestartPolicy(restart_limits(config, name)),
            config,
            secrets_of(name, config, secrets),
            essential=is_essential(name),
            bound=self._origin.listening.get(name, ""),
        )

    def settings_of(self, service: Service) -> GatewayConfig:
        """What a service's next incarnation runs on."""
        services = self._supervisor._services
        return with_ports(service.config, ws=services["websocket"].bound, http=services["http"].bound)

    # A reload

    async def reload(self, message: Reload) -> Reloaded:
        """Read the configuration again, and bring everybody onto it whom it concerns.

        Raises:
            AskRefused: `busy`, `draining`, `unavailable`.
        """
        if self._supervisor._draining or not self._supervisor._up:
            raise AskRefused("draining", "the gateway is starting or ending")
        if self._busy:
            raise AskRefused("busy", "another reload is under way; try again in a moment")
        self._busy = True
        later = _Later()
        try:
            return await self._reload(message, later)
        finally:
            if later.tasks:
                self._supervisor.call_later(_LEAVE_S, self._go_on, later)
            else:
                self._busy = False

    async def _reload(self, message: Reload, later: _Later) -> Reloaded:
        began = time.monotonic()
        reader = self._supervisor.create(load("configuration"))
        try:
            found = await self._read(reader)
            if found.problems:
                return self._refuse(found.problems, began, dry_run=message.dry_run)
            now, wanted = decode(found.settings), decode(found.wanted)
            differs = changes(self._supervisor._config, wanted, other_values=found.other_values)
            tasks = self._tasks(now, found)
            answer = Reloaded(
                code="dry_run",
                text=_text_of(differs, tasks),
                generation=self._generation,
                changes=tuple(KeyChange(**msgspec.structs.asdict(each)) for each in differs),
                actors=tuple(
                    ActorOutcome(name=name, outcome=_TO_DO[task], keys=keys)
                    for name, (task, keys) in tasks.items()
                ),
                warnings=found.warnings,
            )
            if not message.dry_run:
                waits = any(each.effect == "gateway_restart" for each in differs)
                answer = await self._put_in_force(message, found, now, tasks, later, answer, waits=waits)
        finally:
            if (pid := self._supervisor.child_pid(reader)) is not None:
                self._supervisor.kill(pid)
        return msgspec.structs.replace(answer, seconds=time.monotonic() - began)

    async def _read(self, reader: Any) -> ConfigurationRead:
        asked = ReadConfiguration(
            origin=encode_origin(self._origin),
            settings=encode(self._supervisor._config),
            secrets=self._secrets,
        )
        try:
            found: ConfigurationRead = await self._supervisor.ask(reader, asked, timeout_s=_READ_S)
        except ActorError as error:
            name = type(error).__name__
            text = (
                f"the configuration could not be read within {_READ_S:g} s ({name}): see where its files are"
            )
            return ConfigurationRead(problems=(text,))
        return found

    def _refuse(self, problems: tuple[str, ...], began: float, *, dry_run: bool) -> Reloaded:
        others = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        text = f"the configuration is not taken, and nothing has changed: {problems[0]}{others}"
        if not dry_run:
            self._refused = text
            logger.error("%s", text)
        return Reloaded(
            code="refused",
            text=text,
            generation=self._generation,
            problems=problems,
            seconds=time.monotonic() - began,
        )

    def _tasks(self, now: GatewayConfig, found: ConfigurationRead) -> Tasks:
        """What is to be done; for who was held back, from where it is."""
        services = self._supervisor._services
        before, after = frozenset(services), frozenset(services_of(now))

        def tasks(config: GatewayConfig) -> Tasks:
            differs = changes(config, now, other_values=found.other_values)
            return tasks_of(differs, before=before, after=after)

        ours = tasks(self._supervisor._config)
        for name in self._origin.held_back:
            ours.pop(name, None)
            if name in services and (own := tasks(services[name].config).get(name)) is not None:
                ours[name] = own
        if "router" not in ours and secrets_of("router", now, found.secrets) != services["router"].secrets:
            ours["router"] = "tell", ()
        return ours

    async def _put_in_force(
        self,
        message: Reload,
        found: ConfigurationRead,
        now: GatewayConfig,
        tasks: Tasks,
        later: _Later,
        answer: Reloaded,
        *,
        waits: bool,
    ) -> Reloaded:
        origin, secrets = decode_origin(found.origin), found.secrets
        if found.vault:
            origin, secrets = await self._hold(found.vault, origin, secrets)
        held = {
            name: each
            for name, each in self._origin.held_back.items()
            if name not in tasks and changes(each.config, now)
        }
        self._origin = msgspec.structs.replace(origin, held_back=held)
        self._secrets, self._refused = secrets, ""
        if tasks:
            self._generation += 1
        self._use(now)
        if message.through in tasks and tasks[message.through][0] in ("restart", "end"):
            later.tasks[message.through] = tasks[message.through]
        at_once = {name: task for name, task in tasks.items() if name not in later.tasks}
        outcomes = await self._bring_over(at_once)
        outcomes += [
            ActorOutcome(name=name, outcome=_TO_DO[task], text="after this answer", keys=keys)
            for name, (task, keys) in later.tasks.items()
        ]
        later.good = b"" if waits else found.good
        await self._settle(b"" if later.tasks else later.good)
        partly = any(each.outcome == "kept_old" for each in outcomes)
        code = "partly" if partly else "reloaded" if answer.changes or tasks else "unchanged"
        level = logging.INFO if code == "unchanged" else logging.WARNING
        logger.log(level, "the configuration is %s: %s", code, answer.text)
        return msgspec.structs.replace(answer, code=code, generation=self._generation, actors=tuple(outcomes))

    async def _hold(
        self, vault: str, origin: Origin, secrets: Mapping[str, str]
    ) -> tuple[Origin, dict[str, str]]:
        """Has `start` hold a new vault, and what refers to it lead there."""
        try:
            said = await self.keeper.offer(SettingsOffered(vault=vault), timeout_s=_HOLD_S)
        except TimeoutError:
            raise AskRefused(
                "unavailable", "start does not take the new secrets; nothing has changed"
            ) from None
        if not said.vault:
            raise AskRefused("unavailable", "start cannot hold the new secrets; nothing has changed")
        ours, theirs = f"vault:{said.vault}:", f"vault:{vault}:"
        moved = {
            key: ours + ref.removeprefix(theirs) if ref.startswith(theirs) else ref
            for key, ref in secrets.items()
        }
        return msgspec.structs.replace(origin, vault=said.vault), moved

    def _use(self, now: GatewayConfig) -> None:
        """The supervisor's own part, and what every next incarnation comes up on."""
        supervisor = self._supervisor
        before, supervisor._config = supervisor._config, now
        supervisor._operations.use(now)
        if before.logging != now.logging:
            logs.use(level=now.logging.level, form=now.logging.format)
        for service in supervisor._services.values():
            if before.supervision != now.supervision and service.name in services_of(now):
                service.policy.use(restart_limits(now, service.name))

    async def _bring_over(self, tasks: Tasks) -> list[ActorOutcome]:
        """Every actor on its own: one that does not come up is left on what it had, and hinders nobody."""
        now, services = self._supervisor._config, self._supervisor._services
        for name in services.keys() - tasks.keys() - self._origin.held_back.keys():
            services[name].config = now
            services[name].secrets = secrets_of(name, now, self._secrets)
        wanted = [name for name in tasks if name not in _NOT_SERVICES]
        outcomes = dict(
            zip(
                wanted,
                await asyncio.gather(*(self._bring(name, *tasks[name]) for name in wanted)),
                strict=True,
            )
        )
        for name in (name for name in _NOT_SERVICES if name in tasks):
            outcomes[name] = ActorOutcome(name=name, outcome="told", keys=tasks[name][1])
        if "sessions" in outcomes and (router := outcomes.get("router")) is not None:
            outcomes["sessions"] = msgspec.structs.replace(
                outcomes["sessions"], text=router.text, outcome=router.outcome
            )
        return [outcomes[name] for name in tasks]

    async def _bring(self, name: str, task: Task, keys: tuple[str, ...]) -> ActorOutcome:
        now, services = self._supervisor._config, self._supervisor._services
        secrets = secrets_of(name, now, self._secrets)
        if task == "start":
            services[name] = self.service(name)
            kind, text = await self._steps.start(services[name])
        elif task == "end":
            kind, text = await self._steps.end(services[name])
        else:
            service = services[name]
            before = HeldBack(config=service.config, secrets=dict(service.secrets))
            step = self._steps.tell if task == "tell" else self._steps.restart
            kind, text = await step(service, now, secrets)
            if kind == "kept_old":
                self._origin.held_back[name] = before
        if text and kind == "kept_old":
            logger.error("%s goes on with the configuration before: %s", name, text)
        return ActorOutcome(name=name, outcome=kind, text=text, keys=keys)

    async def _settle(self, good: bytes) -> None:
        """From now on, `start` builds the next root from this."""
        services = self._supervisor._services
        listening = {name: services[name].bound for name in ("websocket", "http")}
        self._origin = msgspec.structs.replace(self._origin, listening=listening)
        offered = SettingsOffered(
            settings=encode(self._supervisor._config),
            secrets=self._secrets,
            origin=encode_origin(self._origin),
            good=b"" if self._origin.held_back else good,
            ws=listening["websocket"],
            http=listening["http"],
        )
        try:
            await self.keeper.offer(offered, timeout_s=_HOLD_S)
        except TimeoutError:
            logger.error("start does not take the configuration in force; it knows the one before")

    # After the answer

    def _go_on(self, later: _Later) -> None:
        self._supervisor.spawn(self._finish(later), name="finish a reload")

    async def _finish(self, later: _Later) -> None:
        try:
            await self._bring_over_later(later)
        finally:
            self._busy = False

    async def _bring_over_later(self, later: _Later) -> None:
        for name, (task, keys) in later.tasks.items():
            outcome = await self._bring(name, task, keys)
            logger.warning("%s: %s after a reload %s", name, outcome.outcome, outcome.text)
        await self._settle(later.good)


def _text_of(differs: tuple[Change, ...], tasks: Tasks) -> str:
    waits = [each.key for each in differs if each.effect == "gateway_restart"]
    keys = len(differs)
    text = (
        "nothing differs"
        if not keys
        else f"{keys} key{'s' if keys > 1 else ''} differ{'' if keys > 1 else 's'}"
    )
    if tasks:
        text += f"; it concerns {', '.join(tasks)}"
    if waits:
        text += f"; only another start of the gateway changes {', '.join(waits)}"
    return text
