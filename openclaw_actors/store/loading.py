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
from openclaw_actors.store.journal import Damaged, Loaded, OtherKey, highest_seq, load
from openclaw_actors.store.legacy import LegacyDamaged, LegacySessions
from openclaw_actors.store.names import hashed_name, name_limit, plain_name
from openclaw_actors.store.numbers import NumbersBook
from openclaw_actors.store.options import Counters, StoreOptions
from openclaw_actors.store.snapshot import is_snapshot, read_snapshot

__all__ = ["Finder", "Found"]

logger = logging.getLogger(__name__)

_UNREADABLE = 1_000
"""So many events may stand in what cannot be read of a damaged journal."""


class Found(msgspec.Struct, frozen=True):
    """A session's state, and the files that it is kept in from now on."""

    loaded: Loaded
    journal: Path
    snapshot: Path


class Finder:
    """Reads sessions from the store's directory.

    Args:
        legacy: sessions of older gateways that have not been taken over yet.
        numbers: how far events were numbered under keys that had a conversation before.
    """

    def __init__(
        self,
        options: StoreOptions,
        counters: Counters,
        files: Files,
        legacy: LegacySessions,
        numbers: NumbersBook,
    ) -> None:
        self._options = options
        self._counters = counters
        self._files = files
        self._legacy = legacy
        self._numbers = numbers
        self._directory = options.path / "sessions"
        self._limit = name_limit(self._directory)

    def find(self, key: str, repair: bool) -> Found:  # noqa: FBT001 - an executor passes positions only
        """A session's state; an empty one if nothing is stored under this key.

        Args:
            repair: whether files that turn out to be damaged are set aside.

        Raises:
            StoreRefusal: `corrupt` if it is stored but cannot be trusted.
            OSError: if it cannot be read now.
        """
        free = ""
        for name in dict.fromkeys((plain_name(key, limit=self._limit), hashed_name(key))):
            journal, snapshot = self._paths(name)
            try:
                loaded = load(journal, snapshot, key, window_turns=self._options.window_turns)
            except OtherKey:
                continue
            except Damaged as error:
                if repair:
                    self._go_on_behind(key, journal, snapshot)
                raise self._damaged((journal, snapshot), str(error), repair=repair) from error
            if loaded is not None:
                self._tidy(key, loaded, journal, snapshot)
                return Found(loaded if loaded.end else self._blank(key), journal, snapshot)
            if not free and not self._legacy.is_anothers(snapshot.name, key):
                free = name  # but go on: it may be stored under the other one
        if not free:
            raise StoreRefusal(
                "corrupt", "the names of this conversation's files are taken by other conversations"
            )
        journal, snapshot = self._paths(free)
        try:
            loaded = self._take_over(key, journal, snapshot)
        except LegacyDamaged as error:
            refusal = self._damaged((error.path,), error.reason, repair=repair)
            if repair:
                self._legacy.forget(error.path)
            raise refusal from error
        return Found(loaded, journal, snapshot)

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._directory / f"{name}.jsonl", self._directory / f"{name}.json"

    def _tidy(self, key: str, loaded: Loaded, journal: Path, snapshot: Path) -> None:
        """Ends what a crash interrupted: a commit that nobody was told of, a take-over."""
        if loaded.torn:
            self._counters.torn += 1
            self._cut(journal, loaded.end)
            loaded.torn = False
        if not loaded.snapshot_number and loaded.end and snapshot.exists() and not is_snapshot(snapshot):
            self._legacy.retire(snapshot)
        self._legacy.finish(key, journal)

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
        blank = self._blank(key)
        found = self._legacy.find(key) if not blank.after else None
        if found is None:
            return blank
        self._files.replace(journal, found.journal)
        self._legacy.retire(found.path)
        self._counters.migrated += 1
        logger.info("session %s was taken over from %s", key, found.path.name)
        loaded = load(journal, snapshot, key, window_turns=self._options.window_turns)
        assert loaded is not None
        return loaded

    def _blank(self, key: str) -> Loaded:
        """Nothing is stored; but numbers go on where an earlier conversation's ended."""
        before = self._numbers.of(key)
        return Loaded(state=Conversation(key=key, seq=before.seq), after=before.seq, token=before.token)

    def _go_on_behind(self, key: str, journal: Path, snapshot: Path) -> None:
        """The next conversation's events must not have numbers that clients have of the damaged one."""
        known = read_snapshot(snapshot, key)
        seq = max(highest_seq(journal), known.state.seq if known is not None else 0)
        self._numbers.raise_to(key, seq=seq + _UNREADABLE, token=0)

    def _damaged(self, paths: tuple[Path, ...], problem: str, *, repair: bool) -> StoreRefusal:
        """Renames damaged files, so that nothing is written into them and somebody can look at them."""
        if not repair:
            logger.error("the conversation in %s is damaged: %s", paths[0].name, problem)
            return StoreRefusal("corrupt", "The stored conversation is damaged.")
        self._counters.quarantined += 1
        suffix = f".quarantined-{time.time_ns() // 1_000_000}"
        for path in paths:
            if path.exists() and (path is paths[0] or is_snapshot(path)):
                self._files.move(path, path.with_name(path.name + suffix))
        aside = paths[0].name + suffix
        logger.error("a conversation is damaged (%s) and was set aside as %s", problem, aside)
        return StoreRefusal(
            "corrupt",
            "The stored conversation is damaged and was set aside; your message was not taken. "
            f"The next one begins a new conversation. The old one is kept as {aside}.",
        )
