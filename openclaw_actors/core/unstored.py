"""Keeps what the store has in memory only, and gives it to the store's next incarnation, which would miss it."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_actors.core.effects import WriteRecords
from openclaw_actors.core.records import Record

__all__ = ["Unstored"]

_MAX_CHARS = 4 << 20
"""Of the records that travel in one message; a single one may be longer."""


class Unstored:
    """The records of one session that the store keeps in memory until its disk takes them, for all that is known.

    They are as many as the store is ready to keep: the first write that reaches the disk clears them.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._next: int | None = None
        """Where to go on with giving them back; None: nothing is to be given back."""

    def __bool__(self) -> bool:
        return bool(self._records)

    @property
    def due(self) -> bool:
        """Whether the store is to be given records back."""
        return self._next is not None

    def add(self, records: Sequence[Record]) -> None:
        """The store keeps these in memory, too."""
        self._records += records

    def clear(self) -> None:
        """The disk has everything."""
        self._records.clear()
        self._next = None

    def give_back(self) -> None:
        """The store has lost its memory: it gets everything, from the first on."""
        self._next = 0 if self._records else None

    def batch(self) -> WriteRecords:
        """The next records to give back. Only while some are `due`."""
        assert self._next is not None
        room = _MAX_CHARS
        records: list[Record] = []
        for record in self._records[self._next :]:
            room -= len(getattr(record, "text", ""))
            if records and room < 0:
                break
            records.append(record)
        return WriteRecords(tuple(records), "keep")

    def holds(self, batch: WriteRecords) -> bool:
        """Whether the batch gives back, rather than adds."""
        return bool(self._records) and batch.records[0].number <= self._records[-1].number

    def begins_with(self, batch: WriteRecords) -> bool:
        """Whether there is nothing to give back before the batch."""
        return batch.records[0].number <= self._records[0].number

    def given_back(self, batch: WriteRecords, *, durable: bool) -> None:
        """The store has taken a batch."""
        last = batch.records[-1].number
        left = sum(record.number > last for record in self._records)
        if durable:
            del self._records[: len(self._records) - left]
        if self._next is not None:
            self._next = len(self._records) - left if left else None
