"""Owns what outlives a conversation: how far its events were numbered, so that no number ever stands for two things.

    archive/<hash of session>/numbers.json    {"crc":"…","format":1,"seq":17,"token":4000001,"restored":""}

It is written before a conversation leaves its place, and stays when its archive is removed for good. It does not say
whose it is. Everything here blocks and runs in threads.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from openclaw_actors.store.documents import Documents
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.names import hashed_name

__all__ = ["Numbers", "NumbersBook"]

FORMAT = 1
_MAX_BYTES = 4_096


class Numbers(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the file holds."""

    format: int
    seq: int = 0
    """Of the last event under this key, whichever conversation's it was."""
    token: int = 0
    """Of the newest incarnation that wrote."""
    restored: str = ""
    """The archive that came back last."""


NOTHING = Numbers(format=FORMAT)


class NumbersBook:
    """The numbers of all keys that had a conversation before.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._directory = root / "archive"
        self._files = files
        self._documents = Documents(
            "count of events", Numbers, files, max_bytes=_MAX_BYTES, staging=self._directory
        )

    def of(self, key: str) -> Numbers:
        """How far a key's events were numbered.

        Where damage leaves that open, they go on from the milliseconds since 1970, which no count of events reaches.

        Raises:
            StoreRefusal: `persistence_failed`.
            OSError: it cannot be read now.
        """
        path = self._path(key)
        try:
            return self._documents.read(path) or NOTHING
        except StoreRefusal:
            leap = Numbers(format=FORMAT, seq=time.time_ns() // 1_000_000)
            self._documents.write(path, leap)
            return leap

    def raise_to(self, key: str, *, seq: int, token: int, restored: str = "") -> None:
        """No event of this key gets a number up to `seq` any more; returns when the disk knows.

        Raises:
            StoreRefusal: `persistence_failed`.
            OSError: it cannot be read, or the directory cannot be made.
        """
        known = self.of(key)
        wanted = Numbers(
            format=FORMAT,
            seq=max(known.seq, seq),
            token=max(known.token, token),
            restored=restored or known.restored,
        )
        if wanted != known:
            self._files.make_directory(self._directory / hashed_name(key))
            self._documents.write(self._path(key), wanted)

    def _path(self, key: str) -> Path:
        return self._directory / hashed_name(key) / "numbers.json"
