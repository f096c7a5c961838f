"""Decides what can be read of the contacts of OpenClaw.NET, which stand in one file, sealed by nothing.

    {"contactsByPhone":{"+1555…":{"phoneE164":"+1555…","doNotText":false,"createdAt":"…","lastSeenAt":"…"}}}

What cannot be read is never taken for "did not say STOP".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from openclaw_actors.store.legacy_records import unix_time

__all__ = ["MAX_FILE_BYTES", "OldContact", "OldContacts", "read_old_contacts"]

MAX_FILE_BYTES = 67_108_864
_BOM = b"\xef\xbb\xbf"
_OBJECT = re.compile(rb"\{[^{}]*\}")


class _Entry(msgspec.Struct, rename="camel"):
    phone: str = msgspec.field(name="phoneE164")
    do_not_text: bool
    created_at: str | None = None
    last_seen_at: str | None = None
    display_name: str | None = None


class _File(msgspec.Struct, rename="camel"):
    contacts_by_phone: dict[str, msgspec.Raw] = {}


@dataclass(frozen=True, slots=True)
class OldContact:
    """One contact of the old file."""

    phone: str
    do_not_text: bool
    created_at: float
    """Unix time, seconds; 0 where the file does not tell."""
    last_seen_at: float
    display_name: str


@dataclass(slots=True)
class OldContacts:
    """All that can be read of the old file."""

    contacts: list[OldContact] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Numbers whose entry cannot be read."""
    problem: str = ""
    """Why the file does not tell all; empty: it does."""


_file_decoder = msgspec.json.Decoder(_File)
_entry_decoder = msgspec.json.Decoder(_Entry)


def read_old_contacts(path: Path) -> OldContacts:
    """Read the old file, or what is left of it.

    Raises:
        OSError: it cannot be read now.
    """
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        return OldContacts(problem=f"it is larger than {MAX_FILE_BYTES} bytes")
    try:
        entries = _file_decoder.decode(data.removeprefix(_BOM)).contacts_by_phone
    except (msgspec.DecodeError, ValueError) as error:
        return OldContacts(contacts=list(_rescued(data)), problem=str(error))
    found = OldContacts()
    for phone, raw in entries.items():
        try:
            entry = _entry_decoder.decode(raw)
        except (msgspec.DecodeError, ValueError):
            found.lost.append(phone)
        else:
            if entry.phone == phone:
                found.contacts.append(_contact(entry))
            else:
                found.lost += (phone, entry.phone)
    return found


def _rescued(data: bytes) -> Iterator[OldContact]:
    """Entries that are whole, in a file that is not."""
    for match in _OBJECT.finditer(data):
        try:
            yield _contact(_entry_decoder.decode(match[0]))
        except (msgspec.DecodeError, ValueError):
            continue


def _contact(entry: _Entry) -> OldContact:
    return OldContact(
        phone=entry.phone,
        do_not_text=entry.do_not_text,
        created_at=unix_time(entry.created_at),
        last_seen_at=unix_time(entry.last_seen_at),
        display_name=entry.display_name or "",
    )
