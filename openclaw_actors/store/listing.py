"""Lists stored conversations, the last used first. Everything here blocks and runs in a thread."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.messages.persistence import SessionPage, SessionSummary
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.journal import Damaged, OtherKey, load, read_header
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

    def page(self, *, offset: int, limit: int, contains: str, prefix: str = "") -> SessionPage:
        """A page of summaries; only its own conversations are read."""

        def wanted(key: str) -> bool:
            return contains in key and key.startswith(prefix)

        files = [file for file in self._files() if wanted(file.key)]
        files.sort(key=lambda file: file.used_at, reverse=True)
        old = [key for key in self._finder.not_taken_over() if wanted(key)]
        summaries = [self._summary(file) for file in files[offset : offset + limit]]
        rest = max(0, offset - len(files))
        for key in old[rest : rest + limit - len(summaries)]:
            summaries.append(
                SessionSummary(session=key, created_at=0.0, last_active_at=0.0, turns=0, size_bytes=0)
            )
        return SessionPage(sessions=tuple(summaries), total=len(files) + len(old))

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
                    key = key_of_name(name) or _key_inside(entry.path) or f"file {entry.name}"
                except OSError:
                    continue  # it was set aside or removed meanwhile
                found.append(_File(Path(entry.path), key, status.st_size, status.st_mtime, quarantined))
        return found

    def _summary(self, file: _File) -> SessionSummary:
        state = Conversation(key=file.key)
        if not file.quarantined:
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


def _key_inside(path: str) -> str | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header, _ = read_header(descriptor)
    finally:
        os.close(descriptor)
    return None if header is None else header.session


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
