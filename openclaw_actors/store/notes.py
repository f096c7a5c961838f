"""Owns the notes: texts under keys, of no conversation. Takes over those of OpenClaw.NET, which are plain `.md` files.

Everything here blocks and runs in one thread, so that two writes of one key never cross.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from openclaw_actors.store.documents import Documents
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.legacy import old_names
from openclaw_actors.store.names import hashed_name, key_of_name, name_limit, plain_name

__all__ = ["MAX_KEY_CHARS", "MAX_NOTE_BYTES", "Note", "Notes"]

MAX_NOTE_BYTES = 4_194_304
MAX_KEY_CHARS = 1_024
FORMAT = 1


class Note(msgspec.Struct, frozen=True):
    """What the file holds."""

    format: int
    key: str
    written_at: float
    """Unix time."""
    text: str


class Notes:
    """The notes of one store.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._directory = root / "notes"
        self._retired = root / "legacy"
        self._files = files
        self._limit = name_limit(self._directory)
        self._documents = Documents("note", Note, files, max_bytes=MAX_NOTE_BYTES, staging=self._directory)

    def save(self, key: str, text: str) -> None:
        """Raises StoreRefusal: `bad_key`, `too_large`, `persistence_failed`, `corrupt`; OSError."""
        _check_key(key)
        path, _ = self._locate(key)
        self._documents.write(path, Note(format=FORMAT, key=key, written_at=time.time(), text=text))
        self._retire(key)

    def load(self, key: str) -> str | None:
        """The note's text; None if there is none. Raises StoreRefusal: `bad_key`, `corrupt`; OSError."""
        _check_key(key)
        _, note = self._locate(key)
        if note is not None:
            return note.text
        old = self._old(key)
        return None if old is None else self._read_old(old)

    def delete(self, key: str) -> bool:
        """Returns whether there was one. Raises StoreRefusal: `bad_key`, `corrupt`; OSError."""
        _check_key(key)
        path, note = self._locate(key)
        if note is not None:
            self._documents.remove(path)
        old = self._old(key)
        if old is not None:
            self._documents.remove(old)
        return note is not None or old is not None

    def keys(self, prefix: str, limit: int) -> tuple[str, ...]:
        """The keys that begin with a prefix, in order; only notes whose names do not tell their key are read."""
        return tuple(sorted({key for key in self._keys() if key.startswith(prefix)})[:limit])

    def _keys(self) -> Iterator[str]:
        with os.scandir(self._directory) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            stem, _, suffix = name.partition(".")
            if suffix == "md":
                yield key_of_name(stem) or stem
            elif suffix == "json":
                key = key_of_name(stem)
                if key is None:
                    try:
                        note = self._documents.read(self._directory / name)
                    except StoreRefusal:
                        continue  # set aside, and logged
                    key = None if note is None else note.key
                if key is not None:
                    yield key

    def _locate(self, key: str) -> tuple[Path, Note | None]:
        """The note and its file, or where it has to be written."""
        free: Path | None = None
        for name in dict.fromkeys((plain_name(key, limit=self._limit), hashed_name(key))):
            path = self._directory / f"{name}.json"
            note = self._documents.read(path)
            if note is not None and note.key == key:
                return path, note
            if note is None and free is None:
                free = path
        if free is None:
            raise StoreRefusal("corrupt", f"the names of the note {key!r} are taken by other notes")
        return free, None

    def _old(self, key: str) -> Path | None:
        with os.scandir(self._directory) as entries:
            names = {entry.name for entry in entries if entry.name.endswith(".md")}
        return next((self._directory / name for name in old_names(key, ".md") if name in names), None)

    def _read_old(self, path: Path) -> str:
        if path.stat().st_size > MAX_NOTE_BYTES:
            raise StoreRefusal("too_large", f"the note {path.name} is over {MAX_NOTE_BYTES} bytes")
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._documents.set_aside(path, "it is not UTF-8") from error

    def _retire(self, key: str) -> None:
        """Moves an older gateway's note out of the way, which is kept."""
        old = self._old(key)
        if old is not None:
            self._files.move(old, self._retired / old.name)


def _check_key(key: str) -> None:
    if not key.strip():
        raise StoreRefusal("bad_key", "a note needs a key")
    if len(key) > MAX_KEY_CHARS:
        raise StoreRefusal(
            "bad_key", f"the note's key has {len(key)} characters; {MAX_KEY_CHARS} are allowed"
        )
    try:
        key.encode()
    except UnicodeEncodeError:
        raise StoreRefusal("bad_key", "the note's key is not Unicode text") from None
