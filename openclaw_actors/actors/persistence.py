"""PersistenceActor: the only process that opens the file store. The shell around `store.FileStore`.

It never forks, so the store's threads are safe here. No handler waits for the disk: each answers when its records are
there, and the next message enters meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import MutableMapping
from pathlib import Path

from openclaw_actors import logs
from openclaw_actors.actors.board import counters_of
from openclaw_actors.actors.persistence_backup import BackupHandlers
from openclaw_actors.actors.persistence_contacts import ContactHandlers
from openclaw_actors.actors.persistence_outbox import OutboxHandlers
from openclaw_actors.actors.persistence_retention import RetentionHandlers
from openclaw_actors.actors.persistence_usage import UsageHandlers
from openclaw_actors.actors.store_refusals import refusals as _refusals
from openclaw_actors.actorsystem import AsyncActor, Later, handles
from openclaw_actors.config import GatewayConfig, decode
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Address,
    Append,
    Appended,
    ArchiveList,
    ArchiveRestored,
    ArchiveSession,
    ArchivesPurged,
    BranchHistory,
    BranchList,
    BranchSession,
    BranchSummary,
    Closed,
    CloseSession,
    DeleteBranch,
    Deleted,
    DeleteNote,
    Directory,
    Drain,
    Drained,
    EndOpenTurns,
    EventsPage,
    FlushStore,
    Init,
    InitFailed,
    ListArchives,
    ListBranches,
    ListNotes,
    ListOpenTurns,
    ListSessions,
    LoadNote,
    NoteKeys,
    NoteSaved,
    NoteText,
    OpenSession,
    OpenTurns,
    Ping,
    Pong,
    PurgeArchives,
    ReadBranch,
    ReadEvents,
    ReadRecords,
    ReadSession,
    Ready,
    Reconfigure,
    Reconfigured,
    RecordsPage,
    RestoreArchive,
    RestoreBranch,
    SaveNote,
    SessionArchived,
    SessionOpened,
    SessionPage,
    StoreHealth,
    StoreHealthRequest,
)
from openclaw_actors.store import FileStore, StoreCannotOpen, StoreOptions, StoreRefusal
from openclaw_actors.store.appends import Stored

__all__ = ["PersistenceActor"]

logger = logging.getLogger(__name__)

_QUARANTINED_NAMED = 20
_CONFIRMED_POLL_S = 0.02
_BEFORE_CONFIRMED = (Init, Directory, Reconfigure, Ping, Drain, FlushStore, StoreHealthRequest)
"""What is handled while a store that was migrated may yet be put back: nothing of it writes what anybody relies on."""


class PersistenceActor(
    BackupHandlers, ContactHandlers, OutboxHandlers, RetentionHandlers, UsageHandlers, AsyncActor
):
    """Keeps the conversations."""

    process_name = "persistence"
    first_message = Init

    def __init__(self) -> None:
        super().__init__()
        self._store: FileStore | None = None
        self._checking = False

    # Life

    @handles(Init)
    def initialise(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Opens the store; waits for its previous owner, who may be dying still."""
        self.incarnation = message.incarnation
        self.counters = counters_of(message.name)
        config = decode(message.settings)
        options = _options(config, self.counters)
        try:
            self._store = FileStore.open(options)
        except StoreCannotOpen as refusal:
            self.stop_after_answer(refusal.code)
            return InitFailed(reason=refusal.text, code=refusal.code)
        self._begin_retention(config, message.directory)
        if self._store.is_confirmed():
            self.unstash()
        else:
            self.unstash(only=_BEFORE_CONFIRMED)
            self._await_confirmation()
        return Ready(pid=os.getpid(), incarnation=message.incarnation)

    def _await_confirmation(self) -> None:
        """Looks whether `start` was ready, and lets everybody in then."""
        try:
            if self._store is not None and self._store.is_confirmed():
                self.unstash()
                return
        except OSError as error:
            logger.error("the disk does not take that the migration is done: %s", error)
        self.call_later(_CONFIRMED_POLL_S, self._await_confirmation)

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """Answers go to who asks; only retention asks the router."""
        self._learn_router(message)

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Takes what can be changed while the store is open."""
        config = decode(message.settings)
        if self._store is not None:
            self._store.usage.answers_by_default(_model(config))
        logs.use(level=config.logging.level, form=config.logging.format)
        return Reconfigured()

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says whether the disk takes what it should."""
        store = self._store
        if store is None:
            return Pong(pid=os.getpid(), incarnation=self.incarnation or 0, doing="closed")
        problems = [store.problem] if store.problem else []
        if store.dirty_sessions:
            problems.append(f"{store.dirty_sessions} sessions wait in memory for the disk")
        if store.problem and not self._checking:
            self._checking = True
            self.spawn(self._check(store), name="check the disk")
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing="writing" if store.busy else "idle",
            problems=tuple(problems),
            gauges={
                "persistence_dirty_sessions": store.dirty_sessions,
                "sessions_stored": store.census.total(),
            },
        )

    async def _check(self, store: FileStore) -> None:
        """Finds out whether a disk that failed works again, though nobody writes."""
        await store.check_writable()
        self._checking = False

    @handles(Drain)
    def drain(self, message: Drain, sender: Address) -> Drained:
        """Goes on: it is the last to end."""
        return Drained()

    @handles(FlushStore)
    async def flush(self, message: FlushStore, sender: Address) -> Closed:
        """Writes all that waits and closes the store."""
        store = self._open_store()
        if not await store.flush(deadline_s=message.deadline_s):
            logger.error("%d sessions hold records that the disk did not take", store.dirty_sessions)
        self._store = None
        store.close()
        return Closed()

    async def on_stop(self) -> None:
        """Closes the store, if nobody had it flushed."""
        if self._store is not None:
            store, self._store = self._store, None
            await store.flush(deadline_s=1.0)
            store.close()

    # Conversations

    @handles(OpenSession)
    async def open_session(self, message: OpenSession, sender: Address) -> SessionOpened:
        """Loads a conversation and issues a token."""
        with _refusals():
            opened = await self._open_store().open_session(message.session)
        return SessionOpened(token=opened.token, state=opened.state)

    @handles(Append)
    def append(self, message: Append, sender: Address) -> Later:
        """Writes records; it is answered by `Appended`."""
        store = self._open_store()
        keep = message.when_exhausted == "keep"
        return Later(store.append(message.session, message.token, message.records, keep=keep), _appended)

    @handles(CloseSession)
    async def close_session(self, message: CloseSession, sender: Address) -> Closed:
        """Writes a snapshot; the conversation leaves memory."""
        with _refusals():
            await self._open_store().close_session(message.session, message.token)
        return Closed()

    @handles(EndOpenTurns)
    async def end_open_turns(self, message: EndOpenTurns, sender: Address) -> Appended:
        """Ends turns in the place of a dead session."""
        with _refusals():
            stored = await self._open_store().end_open_turns(
                message.session,
                message.status,
                queue=message.queue,
                text=message.text,
                code=message.code,
            )
        return Appended(number=stored.number, durable=stored.durable)

    @handles(ReadEvents)
    async def read_events(self, message: ReadEvents, sender: Address) -> EventsPage:
        """Reads a page of the past."""
        with _refusals():
            page = await self._open_store().read_events(
                message.session,
                after_seq=message.after_seq,
                max_events=message.max_events,
                max_bytes=message.max_bytes,
            )
        return EventsPage(events=page.events, complete=page.complete)

    @handles(ListOpenTurns)
    async def list_open_turns(self, message: ListOpenTurns, sender: Address) -> OpenTurns:
        """Says which conversations wait for an answer."""
        with _refusals():
            return OpenTurns(turns=await self._open_store().open_turns())

    @handles(ListSessions)
    async def list_sessions(self, message: ListSessions, sender: Address) -> SessionPage:
        """Lists what is stored."""
        with _refusals():
            return await self._open_store().list_sessions(message)

    @handles(ReadSession)
    async def read_session(self, message: ReadSession, sender: Address) -> EventsPage:
        """Reads a conversation's newest events."""
        with _refusals():
            page = await self._open_store().read_newest(message.session, message.last)
        return EventsPage(events=page.events, complete=page.complete)

    # The archive

    @handles(ArchiveSession)
    async def archive_session(self, message: ArchiveSession, sender: Address) -> SessionArchived:
        """Moves a conversation to the archive."""
        with _refusals():
            done = await self._open_store().archiving.archive(
                message.session, message.archive, idle_since=message.idle_since
            )
        self._open_store().census.recount()
        return SessionArchived(
            session=message.session, archives=done.archives, ended=done.ended, incarnation=done.token
        )

    @handles(RestoreArchive)
    async def restore_archive(self, message: RestoreArchive, sender: Address) -> ArchiveRestored:
        """Moves it back."""
        with _refusals():
            done = await self._open_store().archiving.restore(
                message.session, message.archive, replaced_as=message.replaced_as
            )
        self._open_store().census.recount()
        return ArchiveRestored(
            session=message.session,
            archive=message.archive,
            replaced=done.archives,
            ended=done.ended,
            incarnation=done.token,
        )

    @handles(ListArchives)
    async def list_archives(self, message: ListArchives, sender: Address) -> ArchiveList:
        """Lists what is archived."""
        with _refusals():
            return await self._open_store().archives.page(message)

    @handles(PurgeArchives)
    async def purge_archives(self, message: PurgeArchives, sender: Address) -> ArchivesPurged:
        """Removes what was archived, for good."""
        with _refusals():
            return await self._open_store().archives.purge(message)

    @handles(ReadRecords)
    async def read_records(self, message: ReadRecords, sender: Address) -> RecordsPage:
        """Reads a page of a whole conversation."""
        with _refusals():
            return await self._open_store().archives.read_records(message)

    # Branches and notes

    @handles(BranchSession)
    async def branch_session(self, message: BranchSession, sender: Address) -> BranchSummary:
        """Keeps a history as it stands."""
        with _refusals():
            return await self._open_store().branches.save(message.session, message.name)

    @handles(ListBranches)
    async def list_branches(self, message: ListBranches, sender: Address) -> BranchList:
        """Lists what was kept."""
        with _refusals():
            return BranchList(branches=await self._open_store().branches.of(message.session))

    @handles(ReadBranch)
    async def read_branch(self, message: ReadBranch, sender: Address) -> BranchHistory:
        """Reads what stands in a branch."""
        with _refusals():
            return BranchHistory(
                window=await self._open_store().branches.read(message.session, message.branch)
            )

    @handles(RestoreBranch)
    async def restore_branch(self, message: RestoreBranch, sender: Address) -> Appended:
        """Goes back to what was kept."""
        with _refusals():
            stored = await self._open_store().branches.restore(message.session, message.branch)
        return Appended(number=stored.number, durable=stored.durable)

    @handles(DeleteBranch)
    async def delete_branch(self, message: DeleteBranch, sender: Address) -> Deleted:
        """Removes what was kept."""
        with _refusals():
            return Deleted(existed=await self._open_store().branches.delete(message.session, message.branch))

    @handles(SaveNote)
    async def save_note(self, message: SaveNote, sender: Address) -> NoteSaved:
        """Writes a note."""
        with _refusals():
            await self._open_store().save_note(message.key, message.text)
        return NoteSaved()

    @handles(LoadNote)
    async def load_note(self, message: LoadNote, sender: Address) -> NoteText:
        """Reads a note."""
        with _refusals():
            return NoteText(text=await self._open_store().load_note(message.key))

    @handles(ListNotes)
    async def list_notes(self, message: ListNotes, sender: Address) -> NoteKeys:
        """Lists the keys of notes."""
        with _refusals():
            return NoteKeys(keys=await self._open_store().list_notes(message.prefix, limit=message.limit))

    @handles(DeleteNote)
    async def delete_note(self, message: DeleteNote, sender: Address) -> Deleted:
        """Removes a note."""
        with _refusals():
            return Deleted(existed=await self._open_store().delete_note(message.key))

    @handles(StoreHealthRequest)
    async def health(self, message: StoreHealthRequest, sender: Address) -> StoreHealth:
        """Writes something for real."""
        store = self._open_store()
        problem = await store.check_writable()
        with _refusals():
            quarantined = await store.quarantined()
        return StoreHealth(
            writable=not problem,
            dirty_sessions=store.dirty_sessions,
            exhausted_total=int(store.counters.exhausted),
            problem=problem,
            quarantined=tuple(quarantined[:_QUARANTINED_NAMED]),
            quarantined_total=len(quarantined),
        )

    def _open_store(self) -> FileStore:
        if self._store is None:
            raise AskRefused("unavailable", "the store is closed")
        return self._store


def _options(config: GatewayConfig, counts: MutableMapping[str, float]) -> StoreOptions:
    memory = config.memory
    return StoreOptions(
        path=Path(memory.storage_path).expanduser(),
        window_turns=memory.max_history_turns,
        cached_sessions=memory.max_cached_sessions,
        cached_bytes=memory.max_cached_bytes,
        fsync=memory.fsync,
        write_attempts=memory.write_attempts,
        write_backoff_s=memory.write_backoff_ms / 1000,
        snapshot_every_records=memory.snapshot_every_records,
        snapshot_every_bytes=memory.snapshot_every_bytes,
        max_record_bytes=memory.max_record_bytes,
        lock_timeout_s=memory.lock_timeout_seconds,
        counts=counts,
        model=_model(config),
    )


def _appended(stored: asyncio.Future[Stored]) -> Appended:
    try:
        number, durable = stored.result()
    except StoreRefusal as refusal:
        raise AskRefused(refusal.code, refusal.text) from None
    return Appended(number=number, durable=durable)


def _model(config: GatewayConfig) -> str:
    return "demo" if config.llm.provider == "demo" else config.llm.model
