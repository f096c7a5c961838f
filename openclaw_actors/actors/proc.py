"""Reads what /proc says of another process."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["resident_bytes"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int | None) -> int:
    """The resident memory of a process, pages shared with others included; 0 if it is gone."""
    if pid is None:
        return 0
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0
