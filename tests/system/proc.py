"""Decides whether a process lives: what a test waits for after it killed one."""

from __future__ import annotations

__all__ = ["is_alive"]

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether the process runs or could run again; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
