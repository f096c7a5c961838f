"""Counts what an older gateway has left in a store and nobody has used since. Blocks; changes nothing."""

from __future__ import annotations

from pathlib import Path

from openclaw_actors.store.files import Files
from openclaw_actors.store.legacy import LegacySessions
from openclaw_actors.store.legacy_contacts import read_old_contacts

__all__ = ["waiting_in"]


def waiting_in(root: Path) -> dict[str, int]:
    """Kind -> how many wait to be taken over. Raises OSError.

    Args:
        root: the store's directory.
    """
    sessions = LegacySessions(root, Files()).ids() if (root / "sessions").is_dir() else []
    notes = sum(path.suffix == ".md" for path in (root / "notes").glob("*.md"))
    old = root / "contacts.json"
    contacts = read_old_contacts(old) if old.is_file() else None
    return {
        "conversations": len(sessions),
        "notes": notes,
        "contacts": 0 if contacts is None else len(contacts.contacts) + len(contacts.lost),
    }
