"""Decides how a conversation goes into the archive and comes back, in the order of what else happens to it.

While its files move, whatever else is asked of a conversation waits; then it is read anew from where they are. The
token is raised first, so an incarnation that lives still can write nothing more.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import numbered, turn_ended
from openclaw_actors.core.records import NumbersSkipped, encode_record
from openclaw_actors.messages.archive import ArchiveSummary
from openclaw_actors.messages.events import TurnDone
from openclaw_actors.store.appends import AppendPath
from openclaw_actors.store.archive import About, Archive
from openclaw_actors.store.entry import Append, Entry, refuse, settle
from openclaw_actors.store.failures import StoreRefusal, unavailable
from openclaw_actors.store.files import Files
from openclaw_actors.store.journal import Damaged, OtherKey, frame, load
from openclaw_actors.store.listing import Listing
from openclaw_actors.store.outbox import Outbox
from openclaw_actors.store.paging import read_page
from openclaw_actors.store.sessions import Sessions
from openclaw_actors.store.writer import Job, Writer

__all__ = ["Archived", "Archiving"]

_POLL_S = 0.01
_TRIES = 3
_LAST_EVENTS = 256
"""Among so many of the newest events those of the turns that archiving ended are looked for."""
ENDED_CODE = "deleted"


class Archived(NamedTuple):
    """What went into the archive, and the ends of the turns that were open still."""

    archives: tuple[ArchiveSummary, ...]
    ended: tuple[TurnDone, ...]
    token: int
    """All older ones are refused from now on."""


class Archiving:
    """Moves conversations between their place and the archive. Lives in the event loop; the disk is `keep`'s.

    Args:
        issue: raises an entry's token.
        keep: runs what blocks in the thread that branches and archives share.
        prepare: takes over what older gateways left of a session's branches; runs in that thread.
        outbox: of all sessions; nothing of an archived one is sent any more.
        now: Unix time, seconds.
    """

    def __init__(
        self,
        *,
        archive: Archive,
        files: Files,
        sessions: Sessions,
        appends: AppendPath,
        writer: Writer,
        listing: Listing,
        issue: Callable[[Entry], int],
        keep: Callable[[Callable[[], Any]], Awaitable[Any]],
        prepare: Callable[[str], object],
        outbox: Outbox,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._archive = archive
        self._files = files
        self._sessions = sessions
        self._appends = appends
        self._writer = writer
        self._listing = listing
        self._issue = issue
        self._keep = keep
        self._prepare = prepare
        self._outbox = outbox
        self._now = now
        self._loop = asyncio.get_running_loop()

    async def archive(self, key: str, name: str, *, idle_since: float | None = None) -> Archived:
        """Archives a conversation, and what had been set aside under its key. Asked again, answers again.

        Args:
            idle_since: only if nothing of it is in use, and it was not active after that, Unix time in seconds.

        Raises:
            StoreRefusal: `unknown`, `busy`, `dirty`, `persistence_failed`, `unavailable`; `in_use`.
        """
        if not await self._keep(lambda: self._archive.made_by(key, name)):
            await self._archive_whole(key, name, idle_since)
            await self._outbox.drop(key)
        await self._archive_set_aside(key, name)
        made = await self._keep(lambda: self._archive.made_by(key, name))
        if not made:
            raise StoreRefusal("unknown", f"no session {key}")
        return await self._archived(key, made)

    async def _archived(self, key: str, made: Sequence[About]) -> Archived:
        ended = await self._keep(lambda: self._ended(made[-1])) if made else ()
        token = await self._sessions.run(key, lambda entry, future: settle(future, entry.token))
        return Archived(tuple(about.summary() for about in made), ended, token)

    async def check_idle(self, key: str, idle_since: float) -> None:
        """Nothing of a conversation is in use. Raises StoreRefusal `in_use`, `corrupt`, `unavailable`."""

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            if not self._refuse_in_use(entry, idle_since, future):
                settle(future, None)

        await self._sessions.run(key, operation)

    def _refuse_in_use(self, entry: Entry, idle_since: float, future: asyncio.Future[Any]) -> bool:
        state = entry.state
        reasons = (
            (entry.live, "it has a process"),
            (state.last_active_at > idle_since, "it was used meanwhile"),
            (state.unanswered, "a message waits for its answer"),
            (any(not each.decision for each in state.approvals.values()), "a tool waits for a decision"),
            (entry.dirty or entry.cut, "records wait for the disk"),
            (self._outbox.waits(entry.key), "a reply was not sent"),
        )
        reason = next((text for holds, text in reasons if holds), "")
        if reason:
            refuse(future, "in_use", f"{entry.key} is in use: {reason}")
        return bool(reason)

    async def _archive_whole(self, key: str, name: str, idle_since: float | None) -> None:
        def end_turns(entry: Entry, future: asyncio.Future[Any]) -> None:
            if idle_since is None or not self._refuse_in_use(entry, idle_since, future):
                self._end_turns(entry, future)

        for _ in range(_TRIES):
            try:
                await self._sessions.run(key, end_turns, repair=True)
                await self._exclusively(
                    key,
                    lambda entry: self._may_leave(entry, name),
                    lambda entry: self._put(entry, name),
                )
            except StoreRefusal as refusal:
                if refusal.code == "corrupt":
                    return  # it has been set aside by this
                if refusal.code == "busy":
                    continue
                raise
            return
        raise StoreRefusal("busy", f"{key} takes messages faster than it can be archived; try again")

    def _end_turns(self, entry: Entry, future: asyncio.Future[Any]) -> None:
        token = self._issue(entry)
        entry.live = False
        self._sessions.remember_token(entry)
        ends = [turn_ended(message, "stopped", "", code=ENDED_CODE) for message in entry.state.open]
        records = numbered(ends, entry.state, self._now())
        self._appends.take(entry, Append(records, token, keep=False, future=future))

    def _may_leave(self, entry: Entry, name: str) -> None:
        if entry.dirty or entry.cut:
            raise StoreRefusal("dirty", "its newest records wait for a disk that fails; try again later")
        if entry.state.open:
            raise StoreRefusal("busy", "a message came in between")

    def _put(self, entry: Entry, name: str) -> None:
        if not entry.state.number:
            return
        self._prepare(entry.key)
        state = entry.state
        about = About(
            archive=name,
            session=entry.key,
            archived_at=self._now(),
            created_at=state.created_at,
            last_active_at=state.last_active_at,
            turns=state.turns,
            seq=state.seq,
            token=entry.token,
            size_bytes=entry.end,
        )
        self._archive.put(about, entry.journal, entry.snapshot)

    async def _archive_set_aside(self, key: str, name: str) -> None:
        def work() -> None:
            taken = {about.archive for about in self._archive.made_by(key, name)}
            numbers = (number for number in itertools.count(1) if f"{name}-{number}" not in taken)
            for journal, number in zip(self._listing.quarantined(key), numbers, strict=False):
                beside = journal.name.replace(".jsonl.", ".json.") if ".jsonl." in journal.name else ""
                about = About(
                    archive=f"{name}-{number}",
                    session=key,
                    archived_at=self._now(),
                    size_bytes=journal.stat().st_size,
                    state="quarantined",
                )
                self._archive.put(about, journal, journal.with_name(beside or f"{journal.name}.none"))

        await self._keep(work)

    def _ended(self, about: About) -> tuple[TurnDone, ...]:
        """Of the conversation, which is the oldest of what was archived with it."""
        if about.state != "archived":
            return ()
        journal, _ = self._archive.paths(about)
        after = max(0, about.seq - _LAST_EVENTS)
        page = read_page(
            journal, about.size_bytes, (), after_seq=after, max_events=_LAST_EVENTS, max_bytes=1 << 22
        )
        return tuple(
            event for event in page.events if isinstance(event, TurnDone) and event.code == ENDED_CODE
        )

    async def restore(self, key: str, name: str, *, replaced_as: str) -> Archived:
        """Gives a key its archived conversation back; returns what was archived in its stead.

        Args:
            replaced_as: archive the one that it has by now under this name; empty: refuse.

        Raises:
            StoreRefusal: `unknown`, `exists`, `corrupt`, and those of `archive`.
        """
        if await self._keep(lambda: self._archive.was_restored(key, name)):
            return await self._replaced(key, replaced_as)
        about = await self._keep(lambda: self._archive.find(name))
        if about is None or about.session != key:
            raise StoreRefusal("unknown", f"no archive {name} of {key}")
        if about.state != "archived":
            raise StoreRefusal("corrupt", f"{name} was damaged before it was archived; it cannot be restored")
        for _ in range(_TRIES):
            try:
                await self._exclusively(key, self._must_be_blank, lambda entry: self._take_back(entry, about))
            except StoreRefusal as refusal:
                if refusal.code != "exists" or not replaced_as:
                    raise
                await self.archive(key, replaced_as)
                continue
            return await self._replaced(key, replaced_as)
        raise StoreRefusal("busy", f"{key} takes messages faster than it can be archived; try again")

    async def _replaced(self, key: str, name: str) -> Archived:
        made = await self._keep(lambda: self._archive.made_by(key, name)) if name else []
        return await self._archived(key, made)

    def _must_be_blank(self, entry: Entry) -> None:
        if entry.state.number or entry.dirty or entry.cut:
            raise StoreRefusal(
                "exists",
                f"{entry.key} has a conversation again; `replace` (--replace) archives that one first",
            )
        self._issue(entry)
        entry.live = False
        self._sessions.remember_token(entry)

    def _take_back(self, entry: Entry, about: About) -> None:
        journal, snapshot = self._archive.paths(about)
        try:
            loaded = load(journal, snapshot, about.session, window_turns=1)
        except (Damaged, OtherKey) as error:
            raise StoreRefusal("corrupt", f"{about.archive} is damaged: {error}") from error
        if loaded is None or not loaded.end:
            raise StoreRefusal("corrupt", f"{about.archive} is empty")
        used = self._archive.numbers.of(entry.key).seq
        if loaded.torn or loaded.state.seq < used:
            descriptor = self._files.open(journal)
            try:
                self._files.cut(descriptor, loaded.end)
                if loaded.state.seq < used:
                    line = self._skipping(loaded.state, used, max(entry.token, loaded.token))
                    self._files.write_at(descriptor, line, loaded.end)
                self._files.flush(descriptor)
            finally:
                os.close(descriptor)
        self._archive.take_back(about, entry.journal, entry.snapshot)

    def _skipping(self, state: Conversation, used: int, token: int) -> bytes:
        """What the key's other conversations were numbered with is not given again."""
        record = NumbersSkipped(number=state.number + 1, at=self._now(), to_seq=used)
        return frame([encode_record(record)], [token])[0]

    async def _exclusively(
        self, key: str, check: Callable[[Entry], None], work: Callable[[Entry], None]
    ) -> None:
        """Has files moved while nothing else happens to the conversation, which is read anew afterwards.

        Args:
            check: raises StoreRefusal if it may not be.
            work: moves; in the thread of `keep`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            try:
                check(entry)
            except StoreRefusal as refusal:
                refuse(future, refusal.code, refusal.text)
                return
            entry.busy = True
            moving = self._loop.create_task(self._move(entry, work))
            moving.add_done_callback(lambda done: self._moved(entry, done, future))

        await self._sessions.run(key, operation)

    async def _move(self, entry: Entry, work: Callable[[Entry], None]) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        while entry.snapshotting:  # noqa: ASYNC110 - it ends in a thread, and soon
            await asyncio.sleep(_POLL_S)
        forgotten = self._loop.create_future()
        self._writer.submit([Job(entry.journal, 0, b"", forgets=True, owner=forgotten)])
        await forgotten
        await self._keep(lambda: work(entry))

    def _moved(self, entry: Entry, moving: asyncio.Task[None], future: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if moving.cancelled() else moving.exception()
        self._sessions.reload(entry)
        if error is None:
            settle(future, None)
        elif isinstance(error, StoreRefusal):
            refuse(future, error.code, error.text)
        elif isinstance(error, OSError):
            refuse(future, "persistence_failed", f"the disk does not take it: {unavailable(error).text}")
        elif not future.done():
            future.set_exception(error)
