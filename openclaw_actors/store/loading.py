"""Finds a session's files by its key, sets damaged ones aside, and takes over what older gateways left.

Everything here blocks and runs in a thread.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import msgspec

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.journal import Damaged, Loaded, OtherKey, load
from openclaw_actors.store.legacy import LegacySessions
from openclaw_actors.store.names import hashed_name, name_limit, plain_name
from openclaw_actors.store.options import Counters, StoreOptions
from openclaw_actors.store.snapshot import is_snapshot

__all__ = ["Finder", "Found"]

logger = logging.getLogger(__name__)


class Found(msgspec.Struct, frozen=True):
    """A session's state, and the files that it is kept in from now on."""

    loaded: Loaded
    journal: Path
    snapshot: Path


class Finder:
    """Reads sessions from the store's directory.

    Args:
        legacy: sessions of older gateways that have not been taken over yet.
    """

    def __init__(
        self, options: StoreOptions, counters: Counters, files: Files, legacy: LegacySessions
    ) -> None:
        self._options = options
        self._counters = counters
        self._files = files
        self._legacy = legacy
        self._directory = options.path / "sessions"
        self._limit = name_limit(self._directory)

    def find(self, key: str) -> Found:
        """A session's state; an empty one if nothing is stored under this key.

        Raises:
            StoreRefusal: `corrupt` if it is stored but cannot be trusted; its files are set aside then.
            OSError: if it cannot be read now.
        """
        names = dict.fromkeys((plain_name(key, limit=self._limit), hashed_name(key)))
        for name in names:
            journal = self._directory / f"{name}.jsonl"
            snapshot = self._directory / f"{name}.json"
            try:
                loaded = load(journal, snapshot, key, window_turns=self._options.window_turns)
            except OtherKey:
                continue
            except Damaged as error:
                raise self._set_aside(journal, snapshot, str(error)) from error
            if loaded is None:
                loaded = self._take_over(key, journal, snapshot)
            if loaded.torn:
                self._counters.torn += 1
                self._cut(journal, loaded.end)
                loaded.torn = False
            return Found(loaded, journal, snapshot)
        raise StoreRefusal(
            "corrupt", "the names of this conversation's files are taken by other conversations"
        )

    def not_taken_over(self) -> list[str]:
        """Ids of older gateways' conversations that nobody has asked for yet."""
        return self._legacy.ids()

    def _cut(self, journal: Path, end: int) -> None:
        """Takes away what a crash left of a commit that nobody was told of."""
        descriptor = self._files.open(journal)
        try:
            self._files.cut(descriptor, end)
            self._files.flush(descriptor)
        finally:
            os.close(descriptor)

    def _take_over(self, key: str, journal: Path, snapshot: Path) -> Loaded:
        """The conversation as an older gateway left it, in our format from now on; an empty one if there is none."""
        found = self._legacy.find(key)
        if found is None:
            return Loaded(state=Conversation(key=key))
        self._files.replace(journal, found.journal)
        found.retire()
        self._counters.migrated += 1
        logger.info("session %s was taken over from %s", key, found.path.name)
        loaded = load(journal, snapshot, key, window_turns=self._options.window_turns)
        assert loaded is not None
        return loaded

    def _set_aside(self, journal: Path, snapshot: Path, problem: str) -> StoreRefusal:
        """Renames damaged files, so that nothing is written into them and somebody can look at them."""
        self._counters.quarantined += 1
        suffix = f".quarantined-{time.time_ns() // 1_000_000}"
        aside = journal.with_name(journal.name + suffix)
        for path in (journal, snapshot):
            if path.exists() and (path is journal or is_snapshot(path)):
                self._files.rename(path, path.with_name(path.name + suffix))
        self._files.flush_directory(self._directory)
        logger.error("a conversation is damaged (%s) and was set aside as %s", problem, aside.name)
        return StoreRefusal(
            "corrupt",
            "The stored conversation is damaged and was set aside; your message was not taken. "
            f"The next one begins a new conversation. The old one is kept as {aside.name}.",
        )
