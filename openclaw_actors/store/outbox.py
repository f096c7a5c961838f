"""Decides what of the stored replies has to be sent: which sessions have any, which is next, how far each has come.

A reply is the text of a turn's end, or the question whether a tool may run. It becomes due in the same commit as its
record, before it; so whatever crash
comes, the list of what is undelivered may name too many, never too few.

Lives in the event loop; the file is the writer's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from openclaw_actors.core.approvals import asking_text
from openclaw_actors.core.records import ApprovalAsked, Record, TurnEnded
from openclaw_actors.core.routing import outbox_of
from openclaw_actors.messages.events import ToolApprovalRequired, TurnDone
from openclaw_actors.messages.outbox import (
    Delivery,
    DeliveryState,
    NextReply,
    OutboxDone,
    OutboxPage,
    Undelivered,
)
from openclaw_actors.store.boxes import Again, Box, Boxes, Change, Cleared, Dropped, Due, Gone, Step
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.paging import Page
from openclaw_actors.store.writer import Job

__all__ = ["DurablePage", "Outbox", "due_changes"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DurablePage:
    """Events that are on the disk."""

    page: Page
    pending: bool
    """Others are acknowledged and wait for the disk."""


_Said: TypeAlias = TurnDone | ToolApprovalRequired

Read = Callable[[str, int], Awaitable[DurablePage]]


def due_changes(session: str, records: Sequence[Record]) -> tuple[Change, ...]:
    """What has to be noted before these records are written; a session without an outbox has nothing due."""
    if outbox_of(session) is None:
        return ()
    ends = [
        record
        for record in records
        if isinstance(record, ApprovalAsked) or (isinstance(record, TurnEnded) and record.text.strip())
    ]
    if not ends:
        return ()
    return tuple(
        Due(session=session, seq=record.seq, after=ends[0].seq - 1, at=record.at or time.time())
        for record in ends
    )


class Outbox:
    """The outbox of all sessions.

    Args:
        boxes: what the journal says; the outbox's own, from then on.
        submit: hands jobs to the writer, whose reports come back through `report`.
        read: a page of a session's durable events after a number.
    """

    def __init__(self, boxes: Boxes, submit: Callable[[list[Job]], None], read: Read) -> None:
        self._boxes = boxes
        self._submit = submit
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._forgotten = 0

    # Commits

    def report(self, jobs: Iterable[Job]) -> None:
        """Takes a commit's outcome."""
        for job in jobs:
            if job.noted:
                for change in job.notes:
                    self._boxes.apply(change)
            if isinstance(job.owner, asyncio.Future) and not job.owner.done():
                if job.error is None:
                    job.owner.set_result(None)
                else:
                    reason = f"the disk does not take it: {job.error.strerror or job.error}"
                    job.owner.set_exception(StoreRefusal("persistence_failed", reason))
        if self._boxes.forgotten > self._forgotten:
            logger.error(
                "%d replies that were set aside are forgotten: there are too many", self._boxes.forgotten
            )
            self._forgotten = self._boxes.forgotten

    async def _write(self, *changes: Change) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._submit([Job.noting(changes, owner=future)])
        await future

    # For the actor that sends

    def undelivered(self, limit: int) -> Undelivered:
        """The sessions with replies to send, the longest unchanged first."""
        found = [session for session, box in self._boxes.items() if box.undelivered]
        aside = Counter[str](each.state for _, box in self._boxes.items() for each in box.aside.values())
        return Undelivered(sessions=tuple(found[:limit]), counts=dict(aside))

    def waits(self, session: str) -> bool:
        """Is there anything of a session to send, or for a person to decide about?"""
        box = self._boxes.get(session)
        return box is not None and (box.undelivered or bool(box.aside))

    async def next(self, session: str) -> NextReply:
        """The session's oldest reply to send, if there is one on the disk.

        Raises:
            StoreRefusal: `corrupt`, `unavailable`; `persistence_failed` if the disk fails where that must be noted.
        """
        while (box := self._boxes.get(session)) is not None and box.again:
            seq = min(box.again)
            done = await self._end_at(session, seq)
            if done is not None:
                return _reply(session, done, box.again.get(seq), box)
            logger.warning("reply %s/%d is not in its conversation any more and is forgotten", session, seq)
            await self._forget(box.again[seq])
        if box is None or not box.undelivered:
            return NextReply(session=session)
        marks = box.marks
        found, pending = await self._first_end(session, box.cursor)
        if found is None:
            if not pending:  # a crash came between the note and the record
                await self._write(Cleared(session=session, marks=marks))
            return NextReply(session=session)
        current = box.current if box.current is not None and box.current.seq == found.seq else None
        return _reply(session, found, current, box)

    async def record(self, delivery: Delivery) -> None:
        """Note how far a reply has come.

        Raises:
            StoreRefusal: `persistence_failed`, and nothing is changed; `gone`, its conversation was deleted, and it
                is not to be sent.
        """
        box = self._boxes.get(delivery.session)
        if not delivery.done and (box is None or not box.waits(delivery.seq)):
            raise StoreRefusal("gone", f"{delivery.session}/{delivery.seq} is not to be sent any more")
        await self._write(Step(session=delivery.session, delivery=delivery))

    async def drop(self, session: str) -> None:
        """Send nothing more of a conversation that was deleted; what is set aside stays, for who restores it.

        Raises:
            StoreRefusal: `persistence_failed`.
        """
        box = self._boxes.get(session)
        if box is None or not box.undelivered:
            return
        logger.info("session %s was deleted: what waited of it is not sent", session)
        await self._write(Dropped(session=session, seq=max(box.due, *box.again, 0)))

    async def _forget(self, delivery: Delivery) -> None:
        gone = msgspec.structs.replace(delivery, state="dead", reason="its conversation is gone", done=True)
        await self._write(
            Step(session=delivery.session, delivery=gone), Gone(session=delivery.session, seq=delivery.seq)
        )

    async def _end_at(self, session: str, seq: int) -> _Said | None:
        page = (await self._read(session, seq - 1)).page
        first = page.events[0] if page.events else None
        return first if isinstance(first, _Said) and first.seq == seq else None

    async def _first_end(self, session: str, after: int) -> tuple[_Said | None, bool]:
        while True:
            read = await self._read(session, after)
            for event in read.page.events:
                if isinstance(event, _Said) and _text_of(event).strip():
                    return event, read.pending
            if read.page.complete:
                return None, read.pending
            after = read.page.events[-1].seq

    # For people

    def page(self, states: Sequence[DeliveryState], offset: int, limit: int) -> OutboxPage:
        """What was not sent, the longest waiting first."""
        every = sorted(self._entries(), key=lambda entry: (entry.at, entry.session, entry.seq))
        counts = Counter[str](entry.state for entry in every)
        wanted = [entry for entry in every if not states or entry.state in states]
        return OutboxPage(
            entries=tuple(wanted[offset : offset + limit]), total=len(wanted), counts=dict(counts)
        )

    def _entries(self) -> Iterable[Delivery]:
        for session, box in self._boxes.items():
            yield from box.aside.values()
            yield from box.again.values()
            if box.current is not None:
                yield box.current
            elif box.due > box.cursor:
                yield Delivery(session=session, seq=box.due, state="waiting", at=box.at, since=box.at)

    async def retry(self, session: str, seq: int, states: Sequence[DeliveryState]) -> OutboxDone:
        """Try again what was set aside.

        Raises:
            StoreRefusal: `unknown`, `persistence_failed`.
        """
        chosen = self._chosen(session, seq, states)
        now = time.time()
        await self._write(*(Again(session=each.session, seq=each.seq, at=now) for each in chosen))
        return _done(chosen)

    async def purge(self, session: str, seq: int, states: Sequence[DeliveryState]) -> OutboxDone:
        """Forget what was set aside.

        Raises:
            StoreRefusal: `unknown`, `persistence_failed`.
        """
        chosen = self._chosen(session, seq, states)
        await self._write(*(Gone(session=each.session, seq=each.seq) for each in chosen))
        return _done(chosen)

    def _chosen(self, session: str, seq: int, states: Sequence[DeliveryState]) -> list[Delivery]:
        chosen = [
            delivery
            for key, box in self._boxes.items()
            for delivery in box.aside.values()
            if (not session or key == session)
            and (not seq or delivery.seq == seq)
            and (not states or delivery.state in states)
        ]
        if session and not chosen:
            name = f"{session}/{seq}" if seq else session
            raise StoreRefusal("unknown", f"nothing of {name} is set aside in the outbox")
        return chosen


def _text_of(said: _Said) -> str:
    if isinstance(said, TurnDone):
        return said.text
    return asking_text(said.approval_id, said.name, said.arguments)


def _reply(session: str, done: _Said, delivery: Delivery | None, box: Box) -> NextReply:
    if box.doubtful:
        delivery = delivery or Delivery(
            session=session, seq=done.seq, state="prepared", at=box.at, since=box.at
        )
        delivery = msgspec.structs.replace(delivery, doubtful=True)
    return NextReply(
        session=session, seq=done.seq, text=_text_of(done), delivery=delivery, known_sids=box.sids
    )


def _done(chosen: Sequence[Delivery]) -> OutboxDone:
    return OutboxDone(
        count=len(chosen), sessions=tuple(dict.fromkeys(delivery.session for delivery in chosen))
    )
