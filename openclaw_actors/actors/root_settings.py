"""Keeps for `start` what the supervisor has put in force: the next root is built from it, and the next start too."""

from __future__ import annotations

__all__ = ["RootSettings"]

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors import logs
from openclaw_actors.actors.root_boot import Boot, BootPlan
from openclaw_actors.config import decode
from openclaw_actors.config.lastgood import LastGood, decode_last_good, save_last_good
from openclaw_actors.config.origin import decode_origin
from openclaw_actors.config.vault import vault_path
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout
from openclaw_actors.messages import Reload, Reloaded, SettingsOffered, WatchSettings

logger = logging.getLogger(__name__)

_ASK_AGAIN_S = 3600.0
_RELOAD_S = 300.0
_GENERATIONS_KEPT = 2
"""Vaults of so many configurations stay: a turn that runs may still use the one before."""


class RootSettings:
    """What `start` knows of the configuration, through all boots.

    Args:
        plan: what the first boot is made from.
        changed: told when another configuration is in force, with the addresses of the channels.
    """

    def __init__(self, plan: BootPlan, changed: Callable[[str, str], None]) -> None:
        self.plan = plan
        self._changed = changed
        self._vaults: dict[str, int] = {}
        """Path -> descriptor, of those that were offered; the first one is not ours to close."""
        self._used: list[set[str]] = [_vaults_of(plan)]

    def keep(self, good: LastGood | None) -> None:
        """Keep a configuration for the next start, where the file may be broken."""
        if good is None:
            return
        try:
            save_last_good(Path(self.plan.config.state_dir), good)
        except OSError as error:
            logger.error("the last good configuration cannot be kept: %s", error.strerror)

    async def follow(self, boot: Boot) -> None:
        """Take what the supervisor of a boot offers, as long as it lives."""
        said, good = WatchSettings(), None
        while True:
            asking = asyncio.ensure_future(boot.ask(said, timeout_s=_ASK_AGAIN_S))
            await asyncio.sleep(0)  # it is on its way: the supervisor need not wait for the disk
            if good is not None:
                self.keep(good)
            said, good = WatchSettings(), None
            try:
                offered: SettingsOffered = await asking
            except AskTimeout:
                continue
            except (ActorGone, AskRefused):
                return  # it is dead, or another version's
            if offered.vault:
                said = WatchSettings(vault=self._hold(offered.vault))
                continue
            good = self._take(boot, offered)

    def _hold(self, path: str) -> str:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            logger.error("the new secrets cannot be held: %s", error.strerror)
            return ""
        ours = vault_path(fd)
        self._vaults[ours] = fd
        return ours

    def _take(self, boot: Boot, offered: SettingsOffered) -> LastGood | None:
        config = decode(offered.settings)
        before = self.plan.config
        self.plan = boot.plan = msgspec.structs.replace(
            self.plan, config=config, secrets=offered.secrets, origin=decode_origin(offered.origin)
        )
        if before.logging != config.logging:
            logs.use(level=config.logging.level, form=config.logging.format)
        self._forget_vaults()
        self._changed(offered.ws, offered.http)
        return decode_last_good(offered.good) if offered.good else None

    def _forget_vaults(self) -> None:
        self._used = [*self._used, _vaults_of(self.plan)][-_GENERATIONS_KEPT:]
        for path in self._vaults.keys() - set().union(*self._used):
            os.close(self._vaults.pop(path))

    async def reload(self, boot: Boot) -> list[str]:
        """Have the supervisor read the configuration again; returns what to tell, a line each."""
        try:
            done: Reloaded = await boot.ask(Reload(), timeout_s=_RELOAD_S)
        except AskRefused as refusal:
            return [f"not reloaded: {refusal.text or refusal.code}"]
        except (ActorGone, AskTimeout) as error:
            return [f"not reloaded: the supervisor does not answer ({type(error).__name__})"]
        lines = [f"reload: {done.code}: {done.text}", *(f"  {problem}" for problem in done.problems)]
        return lines + [
            f"  {each.name}: {each.outcome}{f' ({each.text})' if each.text else ''}"
            for each in done.actors
            if each.outcome != "told"
        ]


def _vaults_of(plan: BootPlan) -> set[str]:
    """The vaults that a configuration leads to."""
    held: list[Any] = list(plan.origin.held_back.values())
    refs = [*plan.secrets.values(), *(ref for each in held for ref in each.secrets.values())]
    return {ref.split(":", 2)[1] for ref in refs if ref.startswith("vault:")} | {plan.origin.vault}
