"""Owns the sessions in memory: loads each once, keeps its operations in order, and forgets what was used least.

Lives in the event loop; files are read in threads. An entry with anything that its files lack is never forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from openclaw_actors.store.entry import Entry, Operation, refuse
from openclaw_actors.store.failures import StoreRefusal, unavailable
from openclaw_actors.store.loading import Found
from openclaw_actors.store.options import Counters, StoreOptions

__all__ = ["Sessions"]

logger = logging.getLogger(__name__)

_MAX_WAITING = 1_000
"""Operations of one session; more are refused as `busy`."""
_MAX_TOKENS = 65_536
"""Sessions whose newest token is remembered although they left memory."""
_LIVE_FACTOR = 4
"""Live sessions stay beyond the cache's limits, up to this many times of each."""
_FORGET_EVERY = 64
"""Live sessions only grow, so the limits are looked at after this many of their operations."""


class Sessions:
    """The cache and the order of what happens to each session.

    Args:
        find: reads one session's files and, if its second argument says so, sets damaged ones aside; called in a
            thread of `readers`.
    """

    def __init__(
        self, options: StoreOptions, counters: Counters, find: Callable[[str, bool], Found], readers: Executor
    ) -> None:
        self._options = options
        self._counters = counters
        self._find = find
        self._readers = readers
        self._loop = asyncio.get_running_loop()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._tokens: OrderedDict[str, int] = OrderedDict()
        self._pumped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> list[Entry]:
        """All in memory, least recently used first."""
        return list(self._entries.values())

    def run(self, key: str, operation: Operation, *, repair: bool = False) -> asyncio.Future[Any]:
        """Has an operation done after all earlier ones of this key, the session being loaded first if need be.

        Args:
            repair: whether files that turn out to be damaged are set aside; only for those who tell a person of it.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        entry = self._entries.get(key)
        if entry is None:
            problem = _bad_key(key)
            if problem:
                refuse(future, "unknown", problem)
                return future
            entry = self._load(key, repair=repair)
        else:
            self._entries.move_to_end(key)
        if len(entry.waiting) >= _MAX_WAITING:
            refuse(future, "busy", "too much waits for this conversation's file")
            return future
        entry.waiting.append((operation, future))
        self.pump(entry)
        return future

    def pump(self, entry: Entry) -> None:
        """Does what waits, until something makes the entry busy."""
        while entry.waiting and not entry.busy:
            operation, future = entry.waiting.popleft()
            try:
                operation(entry, future)
            except Exception as error:  # the trouble of one conversation is not that of all
                logger.exception("session %s: an operation failed", entry.key)
                refuse(future, "unavailable", f"the store failed: {type(error).__name__}")
        self._pumped += 1
        if not entry.waiting and (not entry.live or self._pumped % _FORGET_EVERY == 0):
            self._forget()

    def remember_token(self, entry: Entry) -> None:
        """Keeps the entry's token beyond its time in memory."""
        self._tokens[entry.key] = entry.token
        self._tokens.move_to_end(entry.key)
        if len(self._tokens) > _MAX_TOKENS:
            self._tokens.popitem(last=False)

    def reload(self, entry: Entry) -> None:
        """Reads an entry anew that was kept busy while its files were replaced; operations wait on."""
        self._read(entry, repair=False)

    def _load(self, key: str, *, repair: bool) -> Entry:
        entry = self._entries[key] = Entry(key)
        self._read(entry, repair=repair)
        return entry

    def _read(self, entry: Entry, *, repair: bool) -> None:
        self._counters.loads += 1
        reading = self._loop.run_in_executor(self._readers, self._find, entry.key, repair)
        reading.add_done_callback(lambda done: self._loaded(entry, done))

    def _loaded(self, entry: Entry, reading: asyncio.Future[Found]) -> None:
        error = asyncio.CancelledError() if reading.cancelled() else reading.exception()
        if error is not None:
            del self._entries[entry.key]
            refusal = _refusal(error)
            if refusal.code != "corrupt" and not isinstance(error, OSError):
                logger.error("session %s could not be read: %s", entry.key, refusal, exc_info=error)
            for _, future in entry.waiting:
                refuse(future, refusal.code, refusal.text)
            entry.waiting.clear()
            return
        found = reading.result()
        token = max(entry.token, self._tokens.get(entry.key, 0))
        entry.fill(found.loaded, found.journal, found.snapshot, token)
        entry.busy = False
        self.pump(entry)

    def _forget(self) -> None:
        """Drops what was used least until both limits hold. Live sessions go only when they are far too many."""
        options = self._options
        total = sum(entry.size for entry in self._entries.values())
        if len(self._entries) <= options.cached_sessions and total <= options.cached_bytes:
            return
        for live in (False, True):
            factor = _LIVE_FACTOR if live else 1
            for entry in tuple(self._entries.values()):
                if (
                    len(self._entries) <= options.cached_sessions * factor
                    and total <= options.cached_bytes * factor
                ):
                    break
                if entry.pinned or entry.live is not live:
                    continue
                self.remember_token(entry)
                total -= entry.size
                del self._entries[entry.key]


def _bad_key(key: str) -> str:
    if not key:
        return "a session needs a key"
    try:
        key.encode()
    except UnicodeEncodeError:
        return "the session's key is not Unicode text"
    return ""


def _refusal(error: BaseException) -> StoreRefusal:
    if isinstance(error, StoreRefusal):
        return error
    if isinstance(error, OSError):
        return unavailable(error)
    return StoreRefusal("unavailable", f"the conversation could not be read: {type(error).__name__}")
