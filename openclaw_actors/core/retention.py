"""Decides which conversations are too old or too many, and which archives are removed for good. Pure.

Age is wall time. A clock that was set back makes everything younger, so nothing is taken for it; what was archived or
removed stays so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openclaw_actors.messages.archive import ArchiveSummary

__all__ = ["Limits", "Retirable", "Used", "to_purge", "to_retire"]


class Limits(NamedTuple):
    """How long and how much is kept; 0 is for ever, and without limit.

    Args:
        max_age_s: of a conversation, since it was used last.
        max_bytes: of all conversations together.
        min_idle_s: what was used within this time is not taken for its size.
        archive_max_age_s: of an archive, since it was made.
        archive_max_bytes: of all archives together.
    """

    max_age_s: float = 0.0
    max_bytes: int = 0
    min_idle_s: float = 86_400.0
    archive_max_age_s: float = 0.0
    archive_max_bytes: int = 0

    @property
    def any(self) -> bool:
        """Is anything limited?"""
        return bool(self.max_age_s or self.max_bytes or self.archive_max_age_s or self.archive_max_bytes)


class Used(NamedTuple):
    """A stored conversation, as its file shows it."""

    session: str
    used_at: float
    """Unix time, seconds."""
    size_bytes: int


class Retirable(NamedTuple):
    """A conversation that is to be archived, unless it was used after `idle_since` (Unix time, seconds)."""

    session: str
    used_at: float
    size_bytes: int
    idle_since: float


def to_retire(sessions: Iterable[Used], limits: Limits, now: float) -> list[Retirable]:
    """What is to be archived, the longest unused first.

    Args:
        now: Unix time, seconds.
    """
    ordered = sorted(sessions, key=lambda each: (each.used_at, each.session))
    excess = sum(each.size_bytes for each in ordered) - limits.max_bytes if limits.max_bytes else 0
    found = []
    for each in ordered:
        age_s = now - each.used_at
        if limits.max_age_s and age_s > limits.max_age_s:
            idle_since = now - limits.max_age_s
        elif excess > 0 and age_s > limits.min_idle_s:
            idle_since = now - limits.min_idle_s
        else:
            continue
        excess -= each.size_bytes
        found.append(Retirable(each.session, each.used_at, each.size_bytes, idle_since))
    return found


def to_purge(archives: Iterable[ArchiveSummary], limits: Limits, now: float) -> list[ArchiveSummary]:
    """The archives that are to be removed for good, the oldest first.

    Args:
        now: Unix time, seconds.
    """
    ordered = sorted(archives, key=lambda each: (each.archived_at, each.archive))
    excess = sum(each.size_bytes for each in ordered) - limits.archive_max_bytes
    found = []
    for each in ordered:
        too_old = limits.archive_max_age_s and now - each.archived_at > limits.archive_max_age_s
        too_much = limits.archive_max_bytes and excess > 0 and each.archived_at <= now
        if too_old or too_much:
            excess -= each.size_bytes
            found.append(each)
    return found
