"""Finds what is too old or too much in a store, and removes archives for good. Lives in the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from openclaw_actors.core.retention import Limits, Retirable, to_purge, to_retire
from openclaw_actors.messages.archive import ArchiveSummary
from openclaw_actors.store.archive import Archive
from openclaw_actors.store.archiving import Archiving
from openclaw_actors.store.listing import Listing

__all__ = ["Retention"]

_PAUSE_S = 0.01
"""After each step, so that everybody else comes first."""


class Retention:
    """What is kept, and for how long.

    Args:
        keep: runs what blocks in the thread that branches and archives share.
        read: runs what blocks in any other thread.
        now: Unix time, seconds.
    """

    def __init__(
        self,
        archive: Archive,
        archiving: Archiving,
        listing: Listing,
        *,
        keep: Callable[[Callable[[], Any]], Awaitable[Any]],
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._archive = archive
        self._archiving = archiving
        self._listing = listing
        self._keep = keep
        self._read = read
        self._now = now

    async def to_retire(self, limits: Limits) -> list[Retirable]:
        """Conversations that are too old or too many, by their files. Raises StoreRefusal `unavailable`."""
        if not (limits.max_age_s or limits.max_bytes):
            return []
        used = await self._read(self._listing.used)
        return to_retire(used, limits, self._now())

    async def check(self, found: Retirable) -> None:
        """Nothing of the conversation is in use. Raises StoreRefusal `in_use`, and as a conversation is opened."""
        await self._archiving.check_idle(found.session, found.idle_since)
        await asyncio.sleep(_PAUSE_S)

    async def purge(self, limits: Limits, *, limit: int, dry_run: bool) -> tuple[list[ArchiveSummary], bool]:
        """Removes archives for good, each by itself.

        Returns:
            Those that were removed, or would be, and whether the limit has left any.

        Raises:
            StoreRefusal: `persistence_failed`, `unavailable`; what was removed before stays so.
        """
        if not (limits.archive_max_age_s or limits.archive_max_bytes):
            return [], False
        abouts = {about.archive: about for about in await self._keep(self._archive.all)}
        found = to_purge((about.summary() for about in abouts.values()), limits, self._now())
        for each in found[:limit] if not dry_run else ():
            await self._keep(partial(self._archive.purge, abouts[each.archive]))
            await asyncio.sleep(_PAUSE_S)
        return found[:limit], len(found) > limit
