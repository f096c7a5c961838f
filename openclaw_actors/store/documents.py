"""Owns small files that are written whole: notes and branches. One sealed line each, with the key inside.

{"crc":"…","format":1,"key":"project:default:style","written_at":…,"text":"…"}
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import seal, unseal

__all__ = ["Documents"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T", bound=msgspec.Struct)


class Documents(Generic[_T]):
    """Reads and writes documents of one type. Everything here blocks and runs in a thread.

    Args:
        kind: what a person calls them.
        type_: of their content.
        max_bytes: of one of them.
        staging: where they are written first; a directory that is cleared at start of what a crash left there.
    """

    def __init__(self, kind: str, type_: type[_T], files: Files, *, max_bytes: int, staging: Path) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(type_)
        self._files = files
        self._max_bytes = max_bytes
        self._staging = staging

    def read(self, path: Path) -> _T | None:
        """The document; None if there is none.

        Raises:
            StoreRefusal: `corrupt` if it is damaged; it is set aside then.
            OSError: if it cannot be read now.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            if not unseal(data[:-1]):
                raise ValueError("its checksum is wrong")
            return self._decoder.decode(data)
        except (msgspec.DecodeError, ValueError) as error:
            raise self.set_aside(path, str(error)) from error

    def set_aside(self, path: Path, problem: str) -> StoreRefusal:
        """Renames a damaged file, so that nothing replaces it. Raises OSError."""
        kept = self._files.move(
            path, path.with_name(f"{path.name}.quarantined-{time.time_ns() // 1_000_000}")
        )
        logger.error("a %s is damaged (%s) and was set aside as %s", self._kind, problem, kept.name)
        return StoreRefusal("corrupt", f"The {self._kind} is damaged and was set aside as {kept.name}.")

    def write(self, path: Path, document: _T) -> None:
        """Puts the document there; returns when the disk has it.

        Raises:
            StoreRefusal: `too_large`, `persistence_failed`.
        """
        try:
            data = seal(msgspec.json.encode(document)[1:])
        except (TypeError, ValueError, OverflowError) as error:
            raise StoreRefusal("persistence_failed", f"the {self._kind} is not Unicode text") from error
        if len(data) > self._max_bytes:
            raise StoreRefusal(
                "too_large", f"the {self._kind} has {len(data)} bytes; {self._max_bytes} are allowed"
            )
        try:
            self._files.replace(path, data, staging=self._staging)
        except OSError as error:
            raise StoreRefusal(
                "persistence_failed", f"the disk does not take the {self._kind}: {error.strerror}"
            ) from error

    def remove(self, path: Path) -> None:
        """Removes it for good; returns when the disk knows. Raises OSError."""
        self._files.remove(path)
        self._files.flush_directory(path.parent)
