"""Keeps what one session wants recorded until the store has it: one write at a time, in order, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from openclaw_actors.core.busy import without_next_turn
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import numbered
from openclaw_actors.core.effects import Effect, WriteRecords
from openclaw_actors.core.records import MessagesAbsorbed, Record, TurnEnded
from openclaw_actors.core.unstored import Unstored

__all__ = ["Refused", "Stored", "Writing"]


class Stored(NamedTuple):
    """A write that the store has taken.

    Args:
        added: whether its records are new; else the store was given back what its last incarnation had.
        next: to be written at once.
    """

    batch: WriteRecords
    added: bool
    next: WriteRecords | None = None


class Refused(NamedTuple):
    """A write that the store did not take.

    Args:
        batch: what went out, or was about to, as new records.
        waits: nothing is written until `try_again`; else the records are given up.
    """

    batch: WriteRecords | None
    waits: bool


class Writing:
    """The records on their way to the store, and what is done once they are there.

    Args:
        state: the conversation; records are numbered after its last one.
    """

    def __init__(self, state: Conversation) -> None:
        self.facts: list[Record] = []
        """Drafts of what is written next."""
        self.after: list[Effect] = []
        """Carried out once what is written next is stored."""
        self.degraded = False
        """Whether the store has some of the records in memory only, or none of them."""
        self._state = state
        self._under_way: WriteRecords | None = None
        self._waits = False
        self._unstored = Unstored()
        self._interrupted: WriteRecords | None = None
        """Goes out again when the store has back what comes before it."""

    @property
    def idle(self) -> bool:
        """Nothing is written or waits for it."""
        return not self.facts and self._under_way is None and not self._unstored.due

    @property
    def ready(self) -> bool:
        """Whether something may be written now."""
        return self._under_way is None and not self._waits

    def not_yet_part(self) -> Sequence[Record]:
        """What is recorded or will be, and is not yet part of the state."""
        return (*(self._under_way.records if self._under_way is not None else ()), *self.facts)

    def has_end(self, message_id: str) -> bool:
        """Whether the end of the message's turn is among the drafts."""
        return any(isinstance(fact, TurnEnded) and fact.message_id == message_id for fact in self.facts)

    def takes_in(self, message_id: str) -> bool:
        """Whether the message's turn is about to take in what was said meanwhile."""
        return any(
            isinstance(each, MessagesAbsorbed) and each.into == message_id for each in self.not_yet_part()
        )

    def ends(self) -> int:
        """How many ends of turns are among the drafts."""
        return sum(isinstance(fact, TurnEnded) for fact in self.facts)

    def write(
        self, drafts: Sequence[Record], when_exhausted: Literal["drop", "keep"], now: float
    ) -> WriteRecords:
        """Numbers the drafts and lets them go. Only while it is `ready`."""
        self._under_way = WriteRecords(numbered(drafts, self._state, now), when_exhausted)
        return self._under_way

    def give_back(self) -> WriteRecords | None:
        """The next of what the store has lost, if anything. Only while it is `ready`."""
        if self._unstored.due:
            self._under_way = self._unstored.batch()
            return self._under_way
        return None

    def stored(self, *, durable: bool) -> Stored | None:
        """The store has taken the write under way; None if there is none.

        Args:
            durable: else the store has it in memory until it can write.
        """
        batch, self._under_way = self._under_way, None
        if batch is None:
            return None
        if self._unstored.holds(batch):
            self._unstored.given_back(batch, durable=durable)
            self.degraded = bool(self._unstored)
            if not self._unstored.due:
                self._under_way, self._interrupted = self._interrupted, None
            return Stored(batch, added=False, next=self._under_way)
        self.degraded = not durable
        if durable:
            self._unstored.clear()
        else:
            self._unstored.add(batch.records)
        return Stored(batch, added=True)

    def refused(self) -> Refused:
        """None of the records under way stands. Those that may be given up are; the others go out later."""
        batch, self._under_way = self._under_way, None
        gives_back = batch is not None and self._unstored.holds(batch)
        if gives_back:
            batch, self._interrupted = self._interrupted, None
        waits = gives_back or (batch is not None and batch.when_exhausted == "keep")
        self._waits |= waits
        return Refused(batch, waits)

    def put_back(self, batch: WriteRecords | None) -> bool:
        """What must be written goes out again, before everything else; returns whether it is news that it could not."""
        if batch is not None and batch.when_exhausted == "keep":
            self.facts = [*without_next_turn(batch.records), *self.facts]
        news, self.degraded = not self.degraded, True
        return news

    def try_again(self) -> None:
        """The store may be able to write again."""
        self._waits = False

    def store_replaced(self) -> None:
        """The store has a new incarnation: it gets what the last one may have had in memory only."""
        self._unstored.give_back()

    def store_misses(self) -> bool:
        """The write under way was refused because records are missing before it; returns whether they are here."""
        batch = self._under_way
        if batch is None or not self._unstored or self._unstored.begins_with(batch):
            return False
        if not self._unstored.holds(batch):
            self._interrupted = batch
        self._under_way = None
        self._unstored.give_back()
        return True
