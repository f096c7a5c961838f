"""Hands what is in force to `start`, which outlives every supervisor, and knows when `start` has it."""

from __future__ import annotations

import asyncio

from openclaw_actors.messages import SettingsOffered, WatchSettings

__all__ = ["SettingsKeeper"]


class SettingsKeeper:
    """The supervisor's side: `start` asks, is answered with what there is, and by asking again says that it has it."""

    def __init__(self) -> None:
        self._asks: asyncio.Future[SettingsOffered] | None = None
        self._asked = asyncio.Event()
        self._said = WatchSettings()

    async def watched(self, message: WatchSettings) -> SettingsOffered:
        """`start` asks for what comes next, and has what came before."""
        if self._asks is not None and not self._asks.done():
            self._asks.cancel()  # its deadline has passed there, and it asks anew
        self._said = message
        asks: asyncio.Future[SettingsOffered] = asyncio.get_running_loop().create_future()
        self._asks = asks
        self._asked.set()
        return await asks

    async def offer(self, offered: SettingsOffered, *, timeout_s: float) -> WatchSettings:
        """Give something to `start`, and wait until it has it.

        Raises:
            TimeoutError: it does not say so in time.
        """
        async with asyncio.timeout(timeout_s):
            await self._asked.wait()
            assert self._asks is not None
            self._asked.clear()
            self._asks.set_result(offered)
            await self._asked.wait()
        return self._said
