"""Keeps a session's newest durable events, so that a client that was away briefly costs the store nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from openclaw_actors.core.records import Record, TurnEnded, event_of
from openclaw_actors.messages.events import DurableEvent, ErrorEvent, Event

__all__ = ["RecentEvents"]

_FIXED_COST = 128


class RecentEvents:
    """The newest events, bounded by count and by size; what they miss stands in the journal.

    Args:
        max_events: how many are kept at most.
        max_bytes: how much text, roughly, they may hold.
        seq: the number of the newest event that was there before.
    """

    def __init__(self, max_events: int, max_bytes: int, seq: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[DurableEvent] = deque()
        self._bytes = 0
        self._before = seq
        self._complete = True
        """Nothing was let go of: these are all events since the session opened."""

    def add(self, event: DurableEvent) -> None:
        """Adds the newest event and lets go of the oldest beyond the limits."""
        self._events.append(event)
        self._bytes += _cost(event)
        while self._events and (len(self._events) > self._max_events or self._bytes > self._max_bytes):
            oldest = self._events.popleft()
            self._bytes -= _cost(oldest)
            self._before = oldest.seq
            self._complete = False

    def recorded(self, records: Iterable[Record]) -> list[Event]:
        """Adds what clients see of records that were just stored, and returns what they are told."""
        told: list[Event] = []
        for record in records:
            if isinstance(record, TurnEnded) and record.code == "quarantined":
                told.append(ErrorEvent(code="quarantined", text=record.text, message_id=record.message_id))
            event = event_of(record)
            if event is not None:
                self.add(event)
                told.append(event)
        return told

    def nothing_stored_after(self, seq: int) -> None:
        """The store has no event after this number, so memory reaches back that far.

        Numbers may have been skipped there: an earlier conversation of the same key had them.
        """
        if self._complete:
            self._before = min(self._before, seq)

    def after(self, seq: int) -> tuple[DurableEvent, ...] | None:
        """All events after this number; None if the oldest of them are no longer here."""
        if seq < self._before:
            return None
        return tuple(event for event in self._events if event.seq > seq)


def _cost(event: DurableEvent) -> int:
    return _FIXED_COST + len(getattr(event, "text", "")) + len(getattr(event, "arguments", ""))
