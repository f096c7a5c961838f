"""Reads a whole journal in pages. A journal only grows, so its first bytes are the conversation as it once stood.

A cursor says where the next page begins, where the last one ends, and which line stands before it, so that another
conversation under the same name is noticed. Everything here blocks and runs in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from openclaw_actors.core.records import HistoryRestored, Record
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.framing import crc_of, unseal
from openclaw_actors.store.journal import Damaged, decode_line, lines

__all__ = ["Cursor", "RecordPage", "read_records"]


class Cursor(NamedTuple):
    """A place in a journal."""

    offset: int
    """Where the next page begins."""
    last: int
    """Where the line before it begins."""
    crc: str
    """Of that line."""
    end: int
    """Where the last page ends."""

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Reads what `str` wrote. Raises StoreRefusal: `changed`."""
        try:
            offset, last, crc, end = text.split(":")
            cursor = cls(int(offset), int(last), crc, int(end))
        except ValueError:
            raise StoreRefusal("changed", "the cursor is not one of ours; begin again") from None
        if not 0 <= cursor.last < cursor.offset <= cursor.end:
            raise StoreRefusal("changed", "the cursor is not one of ours; begin again")
        return cursor


class RecordPage(NamedTuple):
    """Records in order; without a cursor it is the last page."""

    records: tuple[Record, ...]
    cursor: Cursor | None


def read_records(
    journal: Path,
    end: int,
    unwritten: Sequence[Record],
    cursor: Cursor | None,
    *,
    max_bytes: int,
    newest_bytes: int | None = None,
) -> RecordPage:
    """A page; at least one record, however large it is, if there is any left.

    Args:
        end: the journal's valid length now.
        unwritten: what follows it in memory.
        cursor: None for the first page.
        newest_bytes: how far before the end the first page begins; None: at the beginning.

    Raises:
        StoreRefusal: `changed` if the cursor belongs to something else, `corrupt`.
        OSError: it cannot be read now.
    """
    found: list[Record] = []
    left = max(1, max_bytes)
    last, crc = 0, ""
    try:
        descriptor = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _changed() from None
    try:
        if cursor is not None and cursor.end != end:
            unwritten = ()  # they were written since, or follow what was
        end = min(end, os.fstat(descriptor).st_size) if cursor is None else cursor.end
        if cursor is not None and crc_of(os.pread(descriptor, 16, cursor.last)) != cursor.crc:
            raise _changed()
        start = 0 if newest_bytes is None else _newest(descriptor, end, newest_bytes)
        for offset, data in lines(descriptor, cursor.offset if cursor is not None else start, end):
            if not unseal(data):
                raise StoreRefusal("corrupt", f"the line at byte {offset} of {journal.name} is damaged")
            if offset == 0:
                continue  # the header
            if found and len(data) > left:
                return RecordPage(tuple(found), Cursor(offset, last, crc, end))
            found.append(_shortened(decode_line(data).record))
            left -= len(data)
            last, crc = offset, crc_of(data)
    except Damaged as error:
        raise StoreRefusal("corrupt", str(error)) from error
    finally:
        os.close(descriptor)
    return RecordPage((*found, *map(_shortened, unwritten)), None)


def _newest(descriptor: int, end: int, newest_bytes: int) -> int:
    """Where the first whole line begins behind a place so many bytes before the end; further up, if there is none."""
    wanted = max(1, newest_bytes)
    while wanted < end:
        offsets = [offset for offset, _ in islice(lines(descriptor, end - wanted, end), 2)]
        if len(offsets) > 1:
            return offsets[1]  # the first piece is the rest of a line
        wanted *= 8
    return 0


def _shortened(record: Record) -> Record:
    """A branch's history is told by the records before it, or by the branch; repeated here it might fill a frame."""
    if isinstance(record, HistoryRestored):
        return msgspec.structs.replace(record, window=())
    return record


def _changed() -> StoreRefusal:
    return StoreRefusal(
        "changed", "the conversation was deleted, restored or replaced while it was read; begin again"
    )
