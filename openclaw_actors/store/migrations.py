"""Owns the version of the store's format: where it stands, and the steps that lead from one to the next.

    format    the version, a decimal number and a line's end

A store without that file, of today's layout, is as version 1 has it. A newer one is never written to, but by putting
back what a migration has replaced whose version was never ready; see `undo`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openclaw_actors.store.failures import StoreCannotOpen
from openclaw_actors.store.files import Files
from openclaw_actors.store.undo import keep, kept_of, put_back

__all__ = [
    "FORMAT",
    "STEPS",
    "Step",
    "bring_up_to_date",
    "format_of",
    "format_to_open",
    "refuse_newer",
    "steps_from",
]

FORMAT = 1
"""The version that this program writes."""

_NAME = "format"
_NO_NUMBER = -1


@dataclass(frozen=True, slots=True)
class Step:
    """One migration.

    Args:
        to: the version that the store has afterwards.
        does: what a person is told of it.
        work: does it; called with the store's directory under its lock. It replaces or moves files, and never changes
            one in place: that would change what is kept of it, too. It may be interrupted anywhere, and is begun anew
            then, so it must bear what it has done already. Raises OSError.
    """

    to: int
    does: str
    work: Callable[[Path, Files], None]


def _adopt(root: Path, files: Files) -> None:
    """Nothing changes but that the version is written down, which comes after every step."""


STEPS: tuple[Step, ...] = (Step(1, "write down that the store has format 1", _adopt),)
"""In their order; each begins where the one before it ends."""


def format_of(root: Path) -> int:
    """The version of a store; 0 where none is written down.

    Raises:
        StoreCannotOpen: `configuration`: the file says no number.
        OSError: it cannot be read.
    """
    try:
        text = (root / _NAME).read_text(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise StoreCannotOpen(
            "configuration",
            f"{root / _NAME} says no format number; write {FORMAT} into it if this version wrote the store",
        )
    return int(text or 0)


def refuse_newer(root: Path, *, known: int = FORMAT) -> int:
    """The version of a store that this program can read; changes nothing.

    Raises:
        StoreCannotOpen: `configuration`: the store is newer, or says no version.
        OSError: it cannot be read.
    """
    found = format_of(root)
    if found > known:
        raise StoreCannotOpen(
            "configuration",
            f"the store {root} was written by a newer version (format {found}, this one knows {known}) and is left "
            "as it is; install that version again, or restore a backup from before the upgrade",
        )
    return found


def format_to_open(root: Path, *, known: int = FORMAT) -> int:
    """The version that a store has once this program has opened it, before any step; changes nothing.

    Raises:
        StoreCannotOpen, OSError: as `refuse_newer`.
    """
    kept = kept_of(root)
    if kept is not None and kept.before <= known < kept.to:
        return kept.before
    return refuse_newer(root, known=known)


def steps_from(version: int, steps: tuple[Step, ...] = STEPS) -> tuple[Step, ...]:
    """What has to be done to a store of this version."""
    return tuple(step for step in steps if step.to > version)


def bring_up_to_date(root: Path, files: Files, steps: tuple[Step, ...] = STEPS) -> tuple[Step, ...]:
    """Migrate a store that is locked by us; returns what was done. The version is written after each step.

    What the steps replace is kept until `undo.confirm`. If a version did so that we do not know, it is put back first.

    Raises:
        StoreCannotOpen: `configuration`, as `refuse_newer`.
        OSError: a step failed; the store has the version of the one before it.
    """
    known = max(step.to for step in steps)
    kept = kept_of(root)
    if kept is not None and (kept.putting_back or kept.before <= known < kept.to):
        put_back(root, files)
    found = refuse_newer(root, known=known)
    due = steps_from(found, steps)
    if due:
        keep(root, files, before=found, to=known)
    for step in due:
        step.work(root, files)
        files.replace(root / _NAME, b"%d\n" % step.to)
    return due
