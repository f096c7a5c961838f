"""Finds sessions as OpenClaw.NET stored them, and as older versions of it named them.

    sessions/<base64 of id>.json   also the base64 of its SHA-256, where the id is long
    sessions/<id>.json             from before names were encoded

A file is looked for among the names that the directory holds and counts only by the id that stands in it: no path is
ever made from an id. Nothing is read at start.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from openclaw_actors.core.records import encode_record
from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import START
from openclaw_actors.store.journal import frame, header_line
from openclaw_actors.store.legacy_records import OldSession, records_of
from openclaw_actors.store.names import key_of_name, plain_name

__all__ = ["LegacyDamaged", "LegacySession", "LegacySessions", "old_names"]

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 268_435_456
_BEGINNING = 65_536
_ID_FIRST = re.compile(rb'\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*")')

_decoder = msgspec.json.Decoder(OldSession)


class LegacyDamaged(Exception):
    """Raised when an old file is there but cannot be understood.

    Args:
        path: of the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class LegacySession:
    """One conversation of an older gateway, as a journal of ours."""

    def __init__(self, path: Path, journal: bytes) -> None:
        self.path = path
        self.journal = journal


class LegacySessions:
    """The old files that have not been taken over yet.

    Args:
        root: the store's directory. Its `sessions` is listed now, and read when somebody asks.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._directory = root / "sessions"
        self._retired = root / "legacy"
        self._files = files
        self._names = _candidates(self._directory)
        self._ids: dict[str, str] | None = None
        """Names by the id inside, of those whose names do not tell it; read once, when first needed."""
        self._lock = threading.Lock()

    def find(self, key: str) -> LegacySession | None:
        """The old conversation under this key, if there is one.

        Raises:
            LegacyDamaged: if its file cannot be understood.
            OSError: if it cannot be read now.
        """
        if not self._names:
            return None
        for old in _old_ids(key):
            session, path = self._read_by_name(old)
            if session is None and (name := self._ids_inside().get(old)) is not None:
                path = self._directory / name
                session = self._read(path)
            if session is not None:
                return LegacySession(path, _journal_of(session, key))
        return None

    def is_anothers(self, name: str, key: str) -> bool:
        """Does an old file of this name hold the conversation of another key? Raises OSError."""
        if name not in self._names:
            return False
        try:
            session = self._read(self._directory / name)
        except LegacyDamaged:
            return False
        return session is not None and session.id not in _old_ids(key)

    def finish(self, key: str, journal: Path) -> None:
        """Retires an old file that a crash left beside the journal which was made of it. Raises OSError."""
        if not self._names:
            return
        for old in _old_ids(key):
            try:
                session, path = self._read_by_name(old)
            except LegacyDamaged:
                continue
            if session is None:
                continue
            expected = _journal_of(session, key)
            with journal.open("rb") as file:
                if file.read(len(expected)) == expected:
                    self.retire(path)

    def retire(self, path: Path) -> None:
        """Moves an old file out of the way; it is kept."""
        self._names.discard(path.name)
        if path.exists():
            self._files.move(path, self._retired / path.name)

    def forget(self, path: Path) -> None:
        """Says that a file has been set aside."""
        self._names.discard(path.name)

    def ids(self) -> list[str]:
        """What is left to take over. Reads the files whose names do not tell."""
        inside = {name: id_ for id_, name in self._ids_inside().items()}
        found = (key_of_name(name.removesuffix(".json")) or inside.get(name) for name in tuple(self._names))
        return sorted(filter(None, found))

    def _read_by_name(self, old: str) -> tuple[OldSession | None, Path]:
        for name in old_names(old, ".json"):
            if name in self._names:
                path = self._directory / name
                session = self._read(path)
                if session is not None and session.id == old:
                    return session, path
        return None, self._directory

    def _read(self, path: Path) -> OldSession | None:
        """None if the file is gone, or a snapshot of ours."""
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise LegacyDamaged(path, f"over {MAX_FILE_BYTES} bytes")
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if data.startswith(START):
            return None
        try:
            return _decoder.decode(data)
        except (msgspec.DecodeError, ValueError) as error:
            raise LegacyDamaged(path, str(error)) from error

    def _ids_inside(self) -> dict[str, str]:
        with self._lock:
            if self._ids is None:
                ids: dict[str, str] = {}
                for name in sorted(self._names):
                    if key_of_name(name.removesuffix(".json")) is None:
                        found = _id_inside(self._directory / name)
                        if found is not None:
                            ids[found] = name
                self._ids = ids
            return {id_: name for id_, name in self._ids.items() if name in self._names}


def old_names(key: str, suffix: str) -> tuple[str, ...]:
    """The file names that an older gateway may have given to a key, to be looked for in a listing."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    hashed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return (f"{plain_name(key, limit=1 << 16)}{suffix}", f"{hashed}{suffix}", f"{key}{suffix}")


def _old_ids(key: str) -> Iterator[str]:
    """The ids under which older gateways may have kept this key's conversation: they knew no principals."""
    yield key
    channel, _, rest = key.partition(":")
    principal, colon, session = rest.partition(":")
    if channel == "websocket" and colon and principal in ("local", "default"):
        yield f"{channel}:{session}"


def _candidates(directory: Path) -> set[str]:
    with os.scandir(directory) as entries:
        names = {entry.name for entry in entries if entry.name.endswith((".json", ".jsonl"))}
    return {name for name in names if name.endswith(".json") and f"{name}l" not in names}


def _journal_of(session: OldSession, key: str) -> bytes:
    bodies = [encode_record(record) for record in records_of(session)]
    return header_line(key) + b"".join(frame(bodies, [0] * len(bodies)) if bodies else ())


def _id_inside(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
        if beginning.startswith(START):
            return None
        first = _ID_FIRST.match(beginning)
        if first is not None:
            return msgspec.json.decode(first[1], type=str)
        if path.stat().st_size <= MAX_FILE_BYTES:
            return _decoder.decode(path.read_bytes()).id
    except (OSError, msgspec.DecodeError, ValueError) as error:
        logger.warning("%s is no conversation that could be taken over: %s", path.name, error)
    return None
