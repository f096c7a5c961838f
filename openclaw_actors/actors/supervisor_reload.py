"""What the supervisor is asked about its configuration: to read it again, and to tell `start` of the next one."""

from __future__ import annotations

from typing import Protocol

from openclaw_actors.actors.reloads import Reloads
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import Address, Reload, Reloaded, SettingsOffered, WatchSettings

__all__ = ["ReloadRequests"]


class _Supervisor(Protocol):
    _reloads: Reloads


class ReloadRequests:
    """Handlers of the supervisor."""

    @handles(Reload)
    async def reload(self: _Supervisor, message: Reload, sender: Address) -> Reloaded:
        """Reads the configuration again, and tells whom a change concerns."""
        return await self._reloads.reload(message)

    @handles(WatchSettings)
    async def watch_settings(self: _Supervisor, message: WatchSettings, sender: Address) -> SettingsOffered:
        """Answers when there is something for `start`."""
        return await self._reloads.keeper.watched(message)
