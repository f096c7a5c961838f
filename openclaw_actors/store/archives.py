"""Decides what is told of whole conversations, stored or archived, and which archives are removed for good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from openclaw_actors.core.archives import is_archive_name
from openclaw_actors.messages.archive import (
    ArchiveList,
    ArchivesPurged,
    ArchiveSummary,
    ListArchives,
    PurgeArchives,
    ReadRecords,
    RecordsPage,
)
from openclaw_actors.messages.persistence import SessionSummary
from openclaw_actors.store.archive import About, Archive
from openclaw_actors.store.entry import Entry, settle
from openclaw_actors.store.export import Cursor, read_records
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.sessions import Sessions

__all__ = ["Archives"]


class Archives:
    """Looks into the archive. Lives in the event loop.

    Args:
        keep: runs what blocks in the thread that branches and archives share.
        read: runs what blocks in any other thread.
        now: Unix time, seconds.
    """

    def __init__(
        self,
        archive: Archive,
        sessions: Sessions,
        *,
        keep: Callable[[Callable[[], Any]], Awaitable[Any]],
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._archive = archive
        self._sessions = sessions
        self._keep = keep
        self._read = read
        self._now = now

    async def page(self, wanted: ListArchives) -> ArchiveList:
        """What is archived, the newest archive first. Raises StoreRefusal: `unavailable`."""

        def work() -> ArchiveList:
            abouts = self._named(wanted.name) if wanted.name else self._archive.all()
            found = [
                each
                for each in abouts
                if (wanted.contains in each.session or wanted.contains in each.archive)
                and each.session.startswith(wanted.prefix)
            ]
            page = found[wanted.offset : wanted.offset + wanted.limit]
            return ArchiveList(archives=tuple(about.summary() for about in page), total=len(found))

        page: ArchiveList = await self._keep(work)
        return page

    def _named(self, name: str) -> list[About]:
        """An archive, or all of a session's, newest first."""
        if not is_archive_name(name):
            return self._archive.of(name)
        found = self._archive.find(name)
        return [found] if found is not None else []

    async def purge(self, wanted: PurgeArchives) -> ArchivesPurged:
        """Removes archives for good, the oldest first.

        Raises:
            StoreRefusal: `bad_field` if nothing says which; `unknown` if a name stands for nothing; nothing is removed
                then. `persistence_failed`.
        """
        if not wanted.names and wanted.older_than_s is None:
            raise StoreRefusal("bad_field", "say which archives, or how old they must be")
        abouts: list[About] = await self._keep(lambda: self._chosen(wanted))
        chosen, more = abouts[: wanted.limit], len(abouts) > wanted.limit
        for about in chosen if not wanted.dry_run else ():
            await self._keep(partial(self._archive.purge, about))
        return ArchivesPurged(archives=tuple(about.summary() for about in chosen), more=more)

    def _chosen(self, wanted: PurgeArchives) -> list[About]:
        chosen = {} if wanted.names else {about.archive: about for about in self._archive.all()}
        for name in wanted.names:
            found = self._named(name)
            if not found:
                raise StoreRefusal("unknown", f"no archive {name}")
            chosen.update({about.archive: about for about in found})
        before = self._now() - wanted.older_than_s if wanted.older_than_s is not None else float("inf")
        old = [about for about in chosen.values() if about.archived_at < before]
        return sorted(old, key=lambda about: (about.archived_at, about.archive))

    async def read_records(self, wanted: ReadRecords) -> RecordsPage:
        """A page of a whole conversation, stored or archived.

        Raises:
            StoreRefusal: `unknown`, `changed`, `corrupt`, `unavailable`.
        """
        cursor = Cursor.parse(wanted.cursor) if wanted.cursor else None
        about: SessionSummary | ArchiveSummary | None = None
        archive = ""
        if not is_archive_name(wanted.name):
            stored = await self._sessions.run(wanted.name, _whole)
            if stored is not None:
                about, journal, end, kept = stored
        if about is None:
            found = await self._keep(lambda: self._named(wanted.name))
            if not found:
                raise StoreRefusal("unknown", f"no session or archive {wanted.name}")
            about, archive = found[0].summary(), found[0].archive
            # Behind its end may stand what a restoration that was interrupted has left.
            (journal, _), end, kept = self._archive.paths(found[0]), found[0].size_bytes, []
        page = await self._read(
            lambda: read_records(
                journal, end, kept, cursor, max_bytes=wanted.max_bytes, newest_bytes=wanted.newest_bytes
            )
        )
        return RecordsPage(
            session=about.session,
            archive=archive,
            records=page.records,
            cursor=str(page.cursor) if page.cursor is not None else "",
            created_at=about.created_at,
            last_active_at=about.last_active_at,
            turns=about.turns,
        )


def _whole(entry: Entry, future: asyncio.Future[Any]) -> None:
    """A session's summary, its journal and that one's length, and what waits for the disk; None if it has none."""
    state = entry.state
    if not state.number:
        settle(future, None)
        return
    summary = SessionSummary(
        session=entry.key,
        created_at=state.created_at,
        last_active_at=state.last_active_at,
        turns=state.turns,
        size_bytes=entry.end,
    )
    kept = [record for append in entry.kept for record in append.records]
    settle(future, (summary, entry.journal, entry.end, kept))
