"""Owns the store: one object that opens a directory of conversations and does everything that may be done to them.

It lives in one event loop and never blocks it: a writer thread commits, reader threads load. All methods that return
futures do their work in the order of the calls for each session.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from openclaw_actors.core.conversation import encode_state
from openclaw_actors.core.drafts import turn_ended
from openclaw_actors.core.records import Record
from openclaw_actors.messages.persistence import (
    ListSessions,
    OpenTurn,
    SessionPage,
)
from openclaw_actors.store.appends import AppendPath, Stored
from openclaw_actors.store.archive import Archive
from openclaw_actors.store.archives import Archives
from openclaw_actors.store.archiving import Archiving
from openclaw_actors.store.backups import Backups
from openclaw_actors.store.branch_keeper import BranchKeeper
from openclaw_actors.store.branches import Branches
from openclaw_actors.store.census import Census
from openclaw_actors.store.contact_keeper import ContactKeeper
from openclaw_actors.store.contacts import Contacts
from openclaw_actors.store.entry import Append, Entry, refuse, settle
from openclaw_actors.store.failures import StoreRefusal, unavailable
from openclaw_actors.store.files import Files
from openclaw_actors.store.legacy import LegacySessions
from openclaw_actors.store.listing import Listing, quarantined_files
from openclaw_actors.store.loading import Finder
from openclaw_actors.store.notes import Notes
from openclaw_actors.store.numbers import NumbersBook
from openclaw_actors.store.options import Counters, StoreOptions
from openclaw_actors.store.outbox import DurablePage, Outbox
from openclaw_actors.store.outbox_file import open_outbox
from openclaw_actors.store.ownership import (
    DIRECTORIES,
    TOKENS_PER_OPENING,
    StoreLock,
    cannot_open,
    check_format,
    prepare,
)
from openclaw_actors.store.paging import Page, read_page
from openclaw_actors.store.retention import Retention
from openclaw_actors.store.sessions import Sessions
from openclaw_actors.store.snapshots import Snapshots
from openclaw_actors.store.turns import TurnList, has_no_journal, read_names
from openclaw_actors.store.unanswered import Unanswered
from openclaw_actors.store.undo import is_kept, remove_leftovers
from openclaw_actors.store.usage import UsageLedger
from openclaw_actors.store.writer import Job, Writer

__all__ = ["FileStore", "Opened"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_READERS = 4
_POLL_S = 0.02
_USAGE_S = 0.05
"""So long the lines of the usage ledger are gathered: no receipt waits for the thread that writes them."""


def _threads(count: int, name: str) -> ThreadPoolExecutor:
    """Threads that are there from the beginning: where the limit of processes is reached, no other one can be had."""
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    all_there = threading.Barrier(count, timeout=10.0)
    for _ in range(count):
        pool.submit(all_there.wait)
    return pool


class Opened(NamedTuple):
    """A conversation as it stands, and the token of its new incarnation."""

    token: int
    state: bytes


class FileStore:
    """An open store. Make it with `open`, within a running loop.

    Args:
        files: what touches the disk; tests pass their own.
    """

    def __init__(self, options: StoreOptions, files: Files, lock: StoreLock, opening: int) -> None:
        self.options = options
        self.counters = Counters(options.counts)
        self.problem = ""
        """Why the disk did not take the last commit; empty while it does."""
        self._files = files
        self._lock = lock
        self._tokens = itertools.count(opening * TOKENS_PER_OPENING + 1)
        self._loop = asyncio.get_running_loop()
        self._readers = _threads(_READERS, "store-reader")
        self._names, complete = read_names(options.path / "open-turns.jsonl")
        complete = complete or has_no_journal(options.path / "sessions")
        turns = TurnList(options.path / "open-turns.jsonl", files, names=self._names, complete=complete)
        try:
            turns.rewrite(self._names)
        except OSError as error:  # a full disk can still be read, and may be emptied
            logger.warning("the list of open turns could not be compacted: %s", error)
        self._turns = turns
        boxes, outbox_file = open_outbox(options.path / "outbox.jsonl", files)
        self._writer = Writer(files, turns, outbox_file, self._report_from_thread)
        self.outbox = Outbox(boxes, self._writer.submit, self._durable_page)
        legacy = LegacySessions(options.path, files)
        archive = Archive(options.path, files, NumbersBook(options.path, files))
        archive.settle()
        finder = Finder(options, self.counters, files, legacy, archive.numbers)
        self._listing = Listing(options, finder)
        self._sessions = Sessions(options, self.counters, finder.find, self._readers)
        self.census = Census(self._listing.count, self._readers, self.counters)
        self.usage = UsageLedger(
            options.path, options.model, later=lambda call: self._loop.call_later(_USAGE_S, call)
        )
        self._appends = AppendPath(
            options, self.counters, self._writer.submit, self._ready, self._names, self.usage
        )
        self._unanswered = Unanswered(
            self._sessions,
            self._appends,
            self._names,
            complete=complete,
            keys=lambda: self._read(self._listing.keys),
        )
        self._snapshots = Snapshots(options, self.counters, files, self._readers, self._ready)
        self._notes = Notes(options.path, files)
        self._keeper = _threads(1, "store-keeper")
        self._unconfirmed = is_kept(options.path)
        if not self._unconfirmed:
            self._keeper.submit(remove_leftovers, options.path)
        branches = Branches(options.path, files)
        self.branches = BranchKeeper(
            branches, self._sessions, self._appends, issue=self._issue, keep=self._keep
        )
        self.archives = Archives(archive, self._sessions, keep=self._keep, read=self._read)
        self.archiving = Archiving(
            archive=archive,
            files=files,
            sessions=self._sessions,
            appends=self._appends,
            writer=self._writer,
            listing=self._listing,
            issue=self._issue,
            keep=self._keep,
            prepare=branches.take_over,
            outbox=self.outbox,
        )
        self.retention = Retention(archive, self.archiving, self._listing, keep=self._keep, read=self._read)
        self.backups = Backups(options.path, self._writer, keep=self._keep)
        self.contacts = ContactKeeper(
            Contacts(options.path, files), options, self.counters, self._report_contacts
        )
        self._writer.start()

    @classmethod
    def open(cls, options: StoreOptions, *, files: Files | None = None) -> FileStore:
        """Open a store, making it if it is not there. Waits for its previous owner, and blocks meanwhile.

        Raises:
            StoreCannotOpen: it cannot be used; the text says why.
        """
        files = files or Files(sync=options.fsync)
        prepare(options.path)
        lock = StoreLock(options.path)
        opening = lock.acquire(timeout_s=options.lock_timeout_s)
        try:
            check_format(options.path, files)
            for directory in (options.path, *(options.path / name for name in DIRECTORIES)):
                files.remove_leftovers(directory)
            return cls(options, files, lock, opening)
        except OSError as error:
            lock.release()
            raise cannot_open(options.path, error) from error
        except BaseException:
            lock.release()
            raise

    def is_confirmed(self) -> bool:
        """Whether the version that migrated this store was ready since; before that it may be put back as it was, and
        so nothing may be written. Raises OSError.
        """
        if self._unconfirmed and not is_kept(self.options.path):
            self._files.flush_directory(self.options.path)
            self._unconfirmed = False
            self._keeper.submit(remove_leftovers, self.options.path)
        return not self._unconfirmed

    # Conversations

    def open_session(self, key: str) -> asyncio.Future[Opened]:
        """Load a conversation and issue the next token for it.

        The future raises StoreRefusal: `corrupt`, `unavailable`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            self._issue(entry)
            entry.live = True
            self._sessions.remember_token(entry)
            settle(future, Opened(entry.token, encode_state(entry.state)))

        return self._sessions.run(key, operation, repair=True)

    def _issue(self, entry: Entry) -> int:
        """The next token: above all of this session's, also where `store.lock`, the count of openings, was lost."""
        entry.token = max(next(self._tokens), entry.token + 1)
        return entry.token

    def append(
        self, key: str, token: int, records: tuple[Record, ...], *, keep: bool
    ) -> asyncio.Future[Stored]:
        """Write records durably.

        Args:
            keep: after the last attempt, hold them in memory, try for ever, and say that they are not durable.

        The future raises StoreRefusal: `fenced`, `gap`, `persistence_failed`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            self._appends.take(entry, Append(records, token, keep=keep, future=future))

        return self._sessions.run(key, operation)

    def close_session(self, key: str, token: int) -> asyncio.Future[None]:
        """Write a snapshot and let the conversation leave memory.

        The future raises StoreRefusal: `fenced`, `dirty`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            if token < entry.token:
                refuse(future, "fenced", f"token {token} is older than {entry.token}")
                return
            if entry.dirty:
                refuse(future, "dirty", "records wait for the disk")
                return
            entry.live = False
            if not entry.state.unanswered and entry.key in self._names:
                self._appends.close_turns(entry.key)
            self._snapshots.write(entry, future)

        return self._sessions.run(key, operation)

    def end_open_turns(
        self,
        key: str,
        status: Literal["stopped", "interrupted", "failed"],
        *,
        queue: bool,
        text: str = "",
        code: str | None = None,
    ) -> asyncio.Future[Stored]:
        """Record the end of a conversation's open turns in the place of its process, which is fenced off by this."""

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            token = self._issue(entry)
            open_ = entry.state.open if queue else entry.state.open[:1]
            number, seq = entry.state.number, entry.state.seq
            records = tuple(
                msgspec.structs.replace(
                    turn_ended(message, status, text, code=code),
                    number=number + index,
                    seq=seq + index,
                    at=time.time(),
                )
                for index, message in enumerate(open_, 1)
            )
            self._appends.take(entry, Append(records, token, keep=True, future=future))

        return self._sessions.run(key, operation)

    async def read_events(self, key: str, *, after_seq: int, max_events: int, max_bytes: int) -> Page:
        """A page of durable events after a number.

        Raises:
            StoreRefusal: `corrupt`, `unavailable`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            kept = [
                (record, len(body))
                for append in entry.kept
                for record, body in zip(append.records, append.bodies, strict=True)
            ]
            settle(future, (entry.journal, entry.end, kept))

        journal, end, kept = await self._sessions.run(key, operation)
        return await self._read(
            lambda: read_page(
                journal, end, kept, after_seq=after_seq, max_events=max_events, max_bytes=max_bytes
            )
        )

    async def _durable_page(self, key: str, after_seq: int) -> DurablePage:
        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            settle(future, (entry.journal, entry.end, bool(entry.kept)))

        journal, end, pending = await self._sessions.run(key, operation)
        page = await self._read(
            lambda: read_page(journal, end, (), after_seq=after_seq, max_events=500, max_bytes=262_144)
        )
        return DurablePage(page, pending)

    async def read_newest(self, key: str, last: int) -> Page:
        """The newest durable events; raises StoreRefusal `unknown` if nothing is stored under this key."""
        number, seq = await self._sessions.run(
            key, lambda entry, future: settle(future, (entry.state.number, entry.state.seq))
        )
        if not number:
            raise StoreRefusal("unknown", f"no session {key}")
        return await self.read_events(key, after_seq=max(0, seq - last), max_events=last, max_bytes=1 << 24)

    async def list_sessions(self, wanted: ListSessions) -> SessionPage:
        """Stored conversations."""
        return await self._read(lambda: self._listing.page(wanted))

    async def quarantined(self) -> list[str]:
        """The names of files that were set aside because they are damaged, the oldest first."""
        return await self._read(lambda: quarantined_files(self.options.path))

    # Notes

    async def save_note(self, key: str, text: str) -> None:
        """Write a note durably.

        Raises:
            StoreRefusal: `bad_key`, `too_large`, `persistence_failed`, `corrupt`, `unavailable`.
        """
        await self._keep(lambda: self._notes.save(key, text))

    async def load_note(self, key: str) -> str | None:
        """A note's text; None if there is none."""
        return await self._keep(lambda: self._notes.load(key))

    async def list_notes(self, prefix: str = "", *, limit: int = 1_000) -> tuple[str, ...]:
        """The keys of notes that begin with a prefix, in order."""
        return await self._keep(lambda: self._notes.keys(prefix, limit))

    async def delete_note(self, key: str) -> bool:
        """Remove a note for good; returns whether there was one."""
        return await self._keep(lambda: self._notes.delete(key))

    # Open turns

    async def open_turns(self) -> tuple[OpenTurn, ...]:
        """The conversations with accepted messages that have no answer, oldest first."""
        return await self._unanswered.find()

    # Health and end

    @property
    def busy(self) -> bool:
        """Whether anything is being written or waits for it."""
        return self.contacts.busy or any(entry.busy for entry in self._sessions.entries())

    @property
    def dirty_sessions(self) -> int:
        """Conversations with acknowledged records that only memory has."""
        return len(self._appends.dirty)

    async def check_writable(self) -> str:
        """Write something for real; returns why that failed, or an empty text."""
        try:
            await self._read(self._probe)
        except StoreRefusal as refusal:
            return refusal.text
        self.problem = ""
        return ""

    def _probe(self) -> None:
        path = self._files.temporary(self.options.path / "sessions" / "probe")
        self._files.replace(path, b"x" * 4096, flush_directory=False)
        self._files.remove(path)

    async def flush(self, *, deadline_s: float) -> bool:
        """Write everything that waits, snapshots included; returns whether all of it is on the disk."""
        end = self._loop.time() + deadline_s
        contacts = await self.contacts.flush(deadline_s=deadline_s)
        while self._appends.dirty and self._loop.time() < end:
            self._appends.hurry()
            await asyncio.sleep(_POLL_S)
        for entry in self._sessions.entries():
            if self._loop.time() >= end:
                break
            if entry.busy or (entry.state.number > entry.snapshot_number and not entry.dirty):
                writing = self._sessions.run(entry.key, self._snapshots.write)
                writing.add_done_callback(lambda done: done.cancelled() or done.exception())
                await asyncio.wait([writing], timeout=end - self._loop.time())
        return contacts and not self._appends.dirty

    def close(self) -> None:
        """Ends the threads and lets go of the store; nothing may be asked of it afterwards. Blocks briefly."""
        if not self._writer.close():
            # The disk hangs under a write. Only the end of this process ends that, and lets the next owner in.
            logger.error("the store's writer did not end in time; the store stays locked")
            self._end_threads()
            return
        closed = {
            entry.key for entry in self._sessions.entries() if not (entry.pinned or entry.state.unanswered)
        }
        try:
            self._turns.strike(closed)
        except OSError as error:
            logger.warning("the list of open turns names too many: %s", error)
        self._end_threads(wait=True)  # the next owner must not meet files that still move
        self._lock.release()

    # Threads

    def _report_contacts(self, problem: str) -> None:
        self.problem = problem

    def _end_threads(self, *, wait: bool = False) -> None:
        self.usage.close()
        self.backups.close()
        self.contacts.close(wait=wait)
        self._readers.shutdown(
            wait=wait, cancel_futures=True
        )  # they write as well: snapshots, and what they repair
        self._keeper.shutdown(wait=wait, cancel_futures=True)

    async def _read(self, work: Callable[[], _T]) -> _T:
        try:
            return await self._loop.run_in_executor(self._readers, work)
        except OSError as error:
            raise unavailable(error) from error

    async def _keep(self, work: Callable[[], _T]) -> _T:
        """Notes and branches, one after the other."""
        try:
            return await self._loop.run_in_executor(self._keeper, work)
        except OSError as error:
            raise unavailable(error) from error

    def _report_from_thread(self, jobs: list[Job], seconds: float) -> None:
        self._loop.call_soon_threadsafe(self._report, jobs, seconds)

    def _report(self, jobs: list[Job], seconds: float) -> None:
        errors = [job.error for job in jobs if job.error is not None]
        if errors:
            self.problem = unavailable(errors[0]).text
        elif any(job.data or job.notes for job in jobs):
            self.problem = ""
        for job in jobs:
            if job.forgets and isinstance(job.owner, asyncio.Future):
                settle(job.owner, None)
        self._appends.report(jobs, seconds)
        self.outbox.report(jobs)

    def _ready(self, entry: Entry) -> None:
        self._snapshots.write_if_due(entry)
        self._sessions.pump(entry)
