"""Owns the file of what was entered into `chat`: private, bounded, and never a reason to end a conversation."""

from __future__ import annotations

__all__ = ["HISTORY_BYTES", "KeptHistory"]

import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory

from openclaw_actors.cli.plain import is_text

HISTORY_BYTES = 256 * 1024
"""A file that has become twice as long is cut to its newest so many bytes."""

_ENTRY_BEGINS = b"\n# "


class KeptHistory(FileHistory):
    """What was entered, in a file of this user's own; where none can be read or written it lasts for this time only.

    Args:
        path: of the file; its directory is there already.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _cut(path)
        except OSError:
            pass  # reading and writing it will fail too, and are forgiven

    def load_history_strings(self) -> Iterable[str]:
        """What the file holds, the newest first."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Add an entry to the file."""
        if not is_text(string):
            return
        try:
            super().store_string(string)
        except OSError:
            pass  # a full disk, for instance; it is still known until the end


def _cut(path: Path) -> None:
    """Keep the newest entries of a file that has become too long."""
    if path.stat().st_size <= 2 * HISTORY_BYTES:
        return
    with path.open("rb") as file:
        file.seek(-HISTORY_BYTES, os.SEEK_END)
        kept = file.read()
    kept = kept[max(0, kept.find(_ENTRY_BEGINS)) :]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            file.write(kept)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
