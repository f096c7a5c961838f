"""Lists stored conversations, the last used first. Everything here blocks and runs in a thread."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.retention import Used
from openclaw_actors.messages.persistence import (
    ListSessions,
    SessionOrder,
    SessionPage,
    SessionSummary,
)
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.journal import Damaged, OtherKey, key_inside, load
from openclaw_actors.store.loading import Finder
from openclaw_actors.store.names import key_of_name
from openclaw_actors.store.options import StoreOptions
from openclaw_actors.store.ownership import DIRECTORIES

__all__ = ["Listing", "quarantined_files"]

_QUARANTINED = ".quarantined-"


class _File(msgspec.Struct):
    path: Path
    key: str
    size: int
    used_at: float
    quarantined: bool


_ORDERS: dict[SessionOrder, Callable[[_File], tuple[object, ...]]] = {
    "active": lambda file: (-file.used_at, file.key),
    "size": lambda file: (-file.size, file.key),
    "key": lambda file: (file.key, -file.used_at),
}


class Listing:
    """What the store's directory holds.

    Args:
        finder: knows what older gateways left and nobody has used since.
    """

    def __init__(self, options: StoreOptions, finder: Finder) -> None:
        self._directory = options.path / "sessions"
        self._window_turns = options.window_turns
        self._finder = finder

    def keys(self) -> list[str]:
        """The keys of all conversations."""
        return [file.key for file in self._files() if not file.quarantined]

    def used(self) -> list[Used]:
        """When each conversation was used last and how long its journal is, by the files alone."""
        return [Used(file.key, file.used_at, file.size) for file in self._files() if not file.quarantined]

    def count(self) -> int:
        """How many conversations there are, damaged ones left out."""
        with os.scandir(self._directory) as entries:
            journals = sum(entry.name.endswith(".jsonl") for entry in entries)
        return journals + len(self._finder.not_taken_over())

    def quarantined(self, key: str) -> list[Path]:
        """The journals that were set aside under this key, oldest first."""
        files = [file for file in self._files() if file.quarantined and file.key == key]
        return [file.path for file in sorted(files, key=lambda file: file.path.name)]

    def page(self, wanted: ListSessions) -> SessionPage:
        """A page of summaries; only its own conversations are read."""
        old = [_File(Path(), key, 0, 0.0, quarantined=False) for key in self._finder.not_taken_over()]
        files = [file for file in (*self._files(), *old) if _is_wanted(wanted, file)]
        found = sorted(files, key=_ORDERS[wanted.order], reverse=wanted.reverse)
        page = found[wanted.offset : wanted.offset + wanted.limit]
        return SessionPage(sessions=tuple(self._summary(file) for file in page), total=len(found))

    def _files(self) -> list[_File]:
        found: list[_File] = []
        with os.scandir(self._directory) as entries:
            listed = {entry.name: entry for entry in entries}
            for entry in listed.values():
                name, suffix, rest = entry.name.partition(".")
                quarantined = _QUARANTINED in entry.name
                if not name or entry.name.endswith(".tmp") or (not quarantined and rest != "jsonl"):
                    continue
                if rest.startswith("json.") and f"{name}{suffix}jsonl.{rest[5:]}" in listed:
                    continue  # the snapshot of a journal that was set aside with it
                try:
                    status = entry.stat()
                    if not stat.S_ISREG(status.st_mode):
                        continue  # a pipe or a device would be read for ever
                    key = key_of_name(name) or key_inside(Path(entry.path)) or f"file {entry.name}"
                except OSError:
                    continue  # it was set aside or removed meanwhile
                found.append(_File(Path(entry.path), key, status.st_size, status.st_mtime, quarantined))
        return found

    def _summary(self, file: _File) -> SessionSummary:
        state = Conversation(key=file.key)
        if file.path.name and not file.quarantined:
            snapshot = file.path.with_suffix(".json")
            try:
                loaded = load(file.path, snapshot, file.key, window_turns=self._window_turns)
                state = loaded.state if loaded is not None else state
            except (Damaged, OtherKey, StoreRefusal, OSError):
                pass  # it is told when somebody opens it; the list stays useful
        return SessionSummary(
            session=file.key,
            created_at=state.created_at,
            last_active_at=state.last_active_at or file.used_at,
            turns=state.turns,
            size_bytes=file.size,
            state="quarantined" if file.quarantined else "stored",
        )


def quarantined_files(root: Path) -> list[str]:
    """The files of a store that were set aside because they are damaged, the oldest first; reads names only.

    Args:
        root: the store's directory.
    """
    found = []
    for name in ("", *DIRECTORIES):
        try:
            with os.scandir(root / name) as entries:
                found += [os.path.join(name, entry.name) for entry in entries if _QUARANTINED in entry.name]
        except FileNotFoundError:
            continue
    return sorted(found, key=lambda name: name.rpartition(_QUARANTINED)[2])


def _is_wanted(wanted: ListSessions, file: _File) -> bool:
    return (
        wanted.contains.casefold() in file.key.casefold()
        and file.key.startswith(wanted.prefix)
        and wanted.state in ("any", "quarantined" if file.quarantined else "stored")
        and (wanted.only is None or file.key in wanted.only)
        and file.key not in wanted.without
    )
