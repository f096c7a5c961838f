"""Decides which of a session's events one connection gets: none missing, none twice, in order."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from openclaw_actors.messages import (
    Accepted,
    AssistantChunk,
    DurableEvent,
    ErrorEvent,
    Event,
    Notice,
    ReplayPage,
    TurnDone,
    TurnStarted,
)

__all__ = ["Follow", "Missed", "PageResult"]


class Missed(Enum):
    """Something did not arrive: a replay is needed."""

    EVENTS = auto()


class PageResult(Enum):
    """What a page of a replay did."""

    STALE = auto()
    """It answers no question that is open."""
    MORE = auto()
    """There is more; ask after `asked_after`, once the connection has room."""
    COMPLETE = auto()
    """From here on it is live."""


_NOT_ASKED: Final = -1


class Follow:
    """One connection's view of one session.

    Args:
        session: the session's key.
        last_seq: number of the last durable event that the connection has; None where that is not known yet.
    """

    __slots__ = (
        "_attempt",
        "_next_offset",
        "_turn_id",
        "asked_after",
        "held_back",
        "last_seq",
        "newest_at_start",
        "session",
    )

    def __init__(self, session: str, last_seq: int | None = None) -> None:
        self.session = session
        self.last_seq = last_seq
        self.asked_after: int | None = _NOT_ASKED
        """Of the replay that runs: after which number; None: only from now on."""
        self.held_back: list[Accepted] = []
        """Answers to repeated messages that wait for the end of the replay: they must not overtake what it brings."""
        self.newest_at_start: int | None = None
        """Number of the session's newest event when the connection began to follow; None: not known yet."""
        self._turn_id = ""
        self._attempt = 0
        self._next_offset = 0

    @property
    def replaying(self) -> bool:
        """Whether a page of what was missed is under way."""
        return self.asked_after != _NOT_ASKED

    def start_anew(self) -> None:
        """The client asks for everything again: also for what it was sent of the running attempt."""
        self.newest_at_start = None
        self._turn_id = ""

    def ask(self, after_seq: int | None) -> None:
        """A replay was asked for; until its pages are complete, live events count for nothing."""
        self.asked_after = after_seq
        if after_seq is not None:
            self.last_seq = after_seq

    def take(self, event: Event) -> Event | Missed | None:
        """What the connection gets of a live event: itself, the unknown part of a chunk, nothing, or a replay."""
        if isinstance(event, AssistantChunk):
            return None if self.replaying else self._take_chunk(event)
        if isinstance(event, (Notice, ErrorEvent)):
            return event
        if self.replaying and self.asked_after is not None:
            return None
        if self.last_seq is None:
            self._started_at(event.seq - 1)
        elif event.seq <= self.last_seq:
            return None
        elif event.seq > self.last_seq + 1:
            return Missed.EVENTS
        self._advance(event)
        return event

    def take_page(self, page: ReplayPage) -> tuple[PageResult, list[Event]]:
        """What the connection gets of a page, and what comes next."""
        if not self.replaying or page.after_seq != self.asked_after:
            return PageResult.STALE, []
        events: list[Event] = list(self._new_in(page))
        if not page.complete:
            self.asked_after = self.last_seq
            return PageResult.MORE, events
        if self.last_seq is None or self.asked_after is not None:
            self.last_seq = (
                page.last_seq
            )  # also of a client that claimed more than there is, or where numbers skip
        self.asked_after = _NOT_ASKED
        self._started_at(page.last_seq)
        if page.running is not None:
            chunk = self._take_chunk(page.running)
            if isinstance(chunk, AssistantChunk):
                events.append(chunk)
        return PageResult.COMPLETE, events

    def _started_at(self, newest: int) -> None:
        if self.newest_at_start is None:
            self.newest_at_start = newest

    def _new_in(self, page: ReplayPage) -> Iterator[DurableEvent]:
        for event in page.events:
            if self.last_seq is None or event.seq > self.last_seq:
                self._advance(event)
                yield event

    def _advance(self, event: DurableEvent) -> None:
        self.last_seq = event.seq
        if isinstance(event, TurnStarted):
            if event.turn_id != self._turn_id or event.attempt > self._attempt:
                self._turn_id, self._attempt, self._next_offset = event.turn_id, event.attempt, 0
        elif isinstance(event, TurnDone) and event.turn_id == self._turn_id:
            self._turn_id = ""

    def _take_chunk(self, chunk: AssistantChunk) -> AssistantChunk | Missed | None:
        if chunk.turn_id != self._turn_id or chunk.attempt > self._attempt:
            self._turn_id, self._attempt, self._next_offset = chunk.turn_id, chunk.attempt, 0
        elif chunk.attempt < self._attempt:
            return None
        known = self._next_offset - chunk.offset
        if known < 0:
            return Missed.EVENTS
        if known >= len(chunk.text):
            return None
        self._next_offset = chunk.offset + len(chunk.text)
        if known == 0:
            return chunk
        offset = chunk.offset + known
        return AssistantChunk(
            turn_id=chunk.turn_id, attempt=chunk.attempt, offset=offset, text=chunk.text[known:]
        )
