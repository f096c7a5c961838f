"""Owns the store: one object that opens a directory of conversations and does everything that may be done to them.

It lives in one event loop and never blocks it: a writer thread commits, reader threads load. All methods that return
futures do their work in the order of the calls for each session.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from openclaw_actors.core.conversation import encode_state
from openclaw_actors.core.drafts import turn_ended
from openclaw_actors.core.records import Record
from openclaw_actors.messages.persistence import OpenTurn, SessionPage
from openclaw_actors.store.appends import AppendPath, Stored
from openclaw_actors.store.entry import Append, Entry, refuse, settle
from openclaw_actors.store.failures import StoreRefusal, unavailable
from openclaw_actors.store.files import Files
from openclaw_actors.store.legacy import LegacySessions
from openclaw_actors.store.listing import Listing
from openclaw_actors.store.loading import Finder
from openclaw_actors.store.options import Counters, StoreOptions
from openclaw_actors.store.ownership import TOKENS_PER_OPENING, StoreLock, check_format, prepare
from openclaw_actors.store.paging import Page, read_page
from openclaw_actors.store.sessions import Sessions
from openclaw_actors.store.snapshots import Snapshots
from openclaw_actors.store.turns import TurnList, read_names
from openclaw_actors.store.writer import Job, Writer

__all__ = ["FileStore", "Opened"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_READERS = 4
_POLL_S = 0.02


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
        self.counters = Counters()
        self.problem = ""
        """Why the disk did not take the last commit; empty while it does."""
        self._files = files
        self._lock = lock
        self._tokens = itertools.count(opening * TOKENS_PER_OPENING + 1)
        self._loop = asyncio.get_running_loop()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._list_path = options.path / "open-turns.jsonl"
        self._names, self._names_complete = read_names(self._list_path)
        turns = TurnList(self._list_path, files)
        turns.rewrite(self._names)
        self._turns = turns
        self._writer = Writer(files, turns, self._report_from_thread)
        legacy = LegacySessions(options.path, files)
        finder = Finder(options, self.counters, files, legacy)
        self._listing = Listing(options, finder)
        self._sessions = Sessions(options, self.counters, finder.find, self._readers)
        self._appends = AppendPath(options, self.counters, self._writer.submit, self._ready, self._names)
        self._snapshots = Snapshots(options, self.counters, files, self._readers, self._ready)
        self._writer.start()

    @classmethod
    def open(cls, options: StoreOptions, *, files: Files | None = None) -> FileStore:
        """Open a store, making it if it is not there. Waits for its previous owner, and blocks meanwhile.

        Raises:
            StoreCannotOpen: it cannot be used; the text says why.
        """
        prepare(options.path)
        lock = StoreLock(options.path)
        opening = lock.acquire(timeout_s=options.lock_timeout_s)
        try:
            check_format(options.path)
            return cls(options, files or Files(sync=options.fsync), lock, opening)
        except BaseException:
            lock.release()
            raise

    # Conversations

    def open_session(self, key: str) -> asyncio.Future[Opened]:
        """Load a conversation and issue the next token for it.

        The future raises StoreRefusal: `corrupt`, `unavailable`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            entry.token = next(self._tokens)
            entry.live = True
            self._sessions.remember_token(entry)
            settle(future, Opened(entry.token, encode_state(entry.state)))

        return self._sessions.run(key, operation)

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
            if not entry.state.open and entry.key in self._names:
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
            entry.token = token = next(self._tokens)
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
            kept = [record for append in entry.kept for record in append.records]
            settle(future, (entry.journal, entry.end, kept))

        journal, end, kept = await self._sessions.run(key, operation)
        return await self._read(
            lambda: read_page(
                journal, end, kept, after_seq=after_seq, max_events=max_events, max_bytes=max_bytes
            )
        )

    async def read_newest(self, key: str, last: int) -> Page:
        """The newest durable events; raises StoreRefusal `unknown` if nothing is stored under this key."""
        seq = await self._sessions.run(key, lambda entry, future: settle(future, entry.state.seq))
        if not seq:
            raise StoreRefusal("unknown", f"no session {key}")
        return await self.read_events(key, after_seq=max(0, seq - last), max_events=last, max_bytes=1 << 24)

    async def list_sessions(self, *, offset: int, limit: int, contains: str) -> SessionPage:
        """Stored conversations, the last used first."""
        return await self._read(lambda: self._listing.page(offset=offset, limit=limit, contains=contains))

    # Open turns

    async def open_turns(self) -> tuple[OpenTurn, ...]:
        """The conversations with accepted messages that have no answer, oldest first."""
        names = tuple(self._names)
        if not self._names_complete:
            names = tuple(dict.fromkeys((*names, *await self._read(self._listing.keys))))
            self._names_complete = True
        found: list[OpenTurn] = []
        for key in names:
            try:
                since = await self._sessions.run(key, self._oldest)
            except StoreRefusal as refusal:
                logger.error("the open turns of %s cannot be read: %s", key, refusal)
                continue
            if since is not None:
                found.append(OpenTurn(session=key, since=since))
        return tuple(sorted(found, key=lambda turn: turn.since))

    def _oldest(self, entry: Entry, future: asyncio.Future[Any]) -> None:
        if entry.state.open:
            self._names[entry.key] = None
            settle(future, entry.state.open[0].at)
        else:
            if entry.key in self._names and not entry.live:
                self._appends.close_turns(entry.key)
            settle(future, None)

    # Health and end

    @property
    def busy(self) -> bool:
        """Whether anything is being written or waits for it."""
        return any(entry.busy for entry in self._sessions.entries())

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
        path = self.options.path / ".probe"
        self._files.replace(path, b"x" * 4096, flush_directory=False)
        self._files.remove(path)

    async def flush(self, *, deadline_s: float) -> bool:
        """Write everything that waits, snapshots included; returns whether all of it is on the disk."""
        end = self._loop.time() + deadline_s
        while self._appends.dirty and self._loop.time() < end:
            self._appends.hurry()
            await asyncio.sleep(_POLL_S)
        for entry in self._sessions.entries():
            if self._loop.time() >= end:
                break
            if entry.state.number > entry.snapshot_number and not entry.dirty and entry.key:
                await self._sessions.run(entry.key, self._snapshots.write)
        return not self._appends.dirty

    def close(self) -> None:
        """Ends the threads and lets go of the store; nothing may be asked of it afterwards. Blocks briefly."""
        self._writer.close()
        open_ = [entry.key for entry in self._sessions.entries() if entry.state.open]
        closed = {entry.key for entry in self._sessions.entries() if not entry.state.open}
        try:
            self._turns.rewrite(dict.fromkeys([*(n for n in self._names if n not in closed), *open_]))
        except OSError as error:
            logger.warning("the list of open turns names too many: %s", error)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._lock.release()

    # Threads

    async def _read(self, work: Callable[[], _T]) -> _T:
        try:
            return await self._loop.run_in_executor(self._readers, work)
        except OSError as error:
            raise unavailable(error) from error

    def _report_from_thread(self, jobs: list[Job], seconds: float) -> None:
        self._loop.call_soon_threadsafe(self._report, jobs, seconds)

    def _report(self, jobs: list[Job], seconds: float) -> None:
        errors = [job.error for job in jobs if job.error is not None]
        if errors:
            self.problem = unavailable(errors[0]).text
        elif any(job.data for job in jobs):
            self.problem = ""
        self._appends.report(jobs, seconds)

    def _ready(self, entry: Entry) -> None:
        self._snapshots.write_if_due(entry)
        self._sessions.pump(entry)
