"""Owns what a check says: how bad it is, what is, why it matters, what to do, and how it could be repaired here."""

from __future__ import annotations

__all__ = ["Finding", "Level", "Repair", "counted", "error", "info", "ok", "warning"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "info", "warning", "error"]

Repair: TypeAlias = Callable[[], str]
"""Does it, and returns one line that says what was done. Raises OSError or OpenClawError if it cannot be done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a check has seen."""

    level: Level
    what: str
    """What is; one line."""
    why: str = ""
    """Why it matters."""
    remedy: str = ""
    """A command, or a line of configuration."""
    repair: Repair | None = None
    """Set where `--fix` may do it."""


def ok(what: str) -> Finding:
    """All is well with something."""
    return Finding(level="ok", what=what)


def info(what: str, *, why: str = "", remedy: str = "", repair: Repair | None = None) -> Finding:
    """Something to know, and nothing to do."""
    return Finding(level="info", what=what, why=why, remedy=remedy, repair=repair)


def warning(what: str, *, why: str, remedy: str, repair: Repair | None = None) -> Finding:
    """Something that works, and may not for long, or not for everybody."""
    return Finding(level="warning", what=what, why=why, remedy=remedy, repair=repair)


def error(what: str, *, why: str, remedy: str, repair: Repair | None = None) -> Finding:
    """Something that does not work, or puts data or people at risk now."""
    return Finding(level="error", what=what, why=why, remedy=remedy, repair=repair)


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
