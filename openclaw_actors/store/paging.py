"""Decides where in a journal the events after a number begin, and reads pages of them at any age.

Numbers rise along the file, so the place is found by bisection: a page costs a few small reads, not the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from openclaw_actors.core.records import Record, event_of
from openclaw_actors.messages.events import DurableEvent
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.framing import unseal
from openclaw_actors.store.journal import Damaged, decode_line, lines

__all__ = ["Page", "read_page"]

_PROBE = 16_384
_NEAR = 65_536
"""Bytes; less than this is read through rather than bisected further."""


class Page(msgspec.Struct, frozen=True):
    """Durable events in order."""

    events: tuple[DurableEvent, ...]
    complete: bool


def read_page(
    journal: Path | None,
    end: int,
    unwritten: Sequence[tuple[Record, int]],
    *,
    after_seq: int,
    max_events: int,
    max_bytes: int,
) -> Page:
    """The events after a number; at least one if there is any, however large it is.

    Args:
        journal: None if nothing is stored.
        end: the journal's valid length.
        unwritten: records that follow it and wait in memory for the disk, with their sizes in bytes.

    Raises:
        StoreRefusal: `corrupt` if the page cannot be trusted.
        OSError: if the file cannot be read now.
    """
    page = _Builder(after_seq, max(1, max_events), max(1, max_bytes))
    if journal is not None and end:
        descriptor = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _fill(page, descriptor, end)
        except Damaged as error:
            raise StoreRefusal("corrupt", f"the stored conversation is damaged: {error}") from error
        finally:
            os.close(descriptor)
    for record, size in unwritten:
        page.add(record, size)
    return Page(events=tuple(page.events), complete=not page.full)


class _Builder:
    def __init__(self, after_seq: int, max_events: int, max_bytes: int) -> None:
        self.after_seq = after_seq
        self.events: list[DurableEvent] = []
        self.full = False
        self._max_events = max_events
        self._bytes_left = max_bytes

    def add(self, record: Record, size: int) -> None:
        if self.full:
            return
        event = event_of(record)
        if event is None or event.seq <= self.after_seq:
            return
        if self.events and (len(self.events) >= self._max_events or size > self._bytes_left):
            self.full = True
            return
        self.events.append(event)
        self._bytes_left -= size


def _fill(page: _Builder, descriptor: int, end: int) -> None:
    for offset, data in lines(descriptor, _find(descriptor, end, page.after_seq), end):
        if not unseal(data):
            raise Damaged(f"the line at byte {offset}")
        if offset == 0:
            continue  # the header
        page.add(decode_line(data).record, len(data))
        if page.full:
            return


def _find(descriptor: int, end: int, after_seq: int) -> int:
    """The offset of a line at or before the first event after the number, and not far from it."""
    low, high = 0, end
    if after_seq <= 0:
        return 0
    while high - low > _NEAR:
        middle = (low + high) // 2
        found = _first_event(descriptor, middle, high)
        if found is None or found[0] > after_seq:
            high = middle
        else:
            low = found[1]
    return low


def _first_event(descriptor: int, start: int, end: int) -> tuple[int, int] | None:
    """Number and offset of the first event whose line begins behind `start`."""
    whole = False  # the first piece is the rest of a line
    for offset, data in lines(descriptor, start, end, chunk_bytes=_PROBE):
        if whole and unseal(data):
            event = event_of(decode_line(data).record)
            if event is not None:
                return event.seq, offset
        whole = True
    return None
