"""Answers with pages of a session's past: the newest events from memory, older ones from the store."""

from __future__ import annotations

import logging

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.session_voice import Voice
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.core.effects import FindOutcome
from openclaw_actors.core.session import SessionCore
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Accepted,
    DurableEvent,
    EventsPage,
    ReadEvents,
    Replay,
    ReplayPage,
    TurnDone,
)

__all__ = ["ReplayReader"]

logger = logging.getLogger(__name__)

_STORE_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 1.0


class ReplayReader:
    """Answers the replays of one session.

    Args:
        actor: the session's actor, in whose name the store is asked.
    """

    def __init__(
        self, actor: AsyncActor, directory: ServiceDirectory, core: SessionCore, voice: Voice
    ) -> None:
        self._actor = actor
        self._directory = directory
        self._core = core
        self._voice = voice

    def show(self, message: Replay) -> None:
        """Tells the channel that asked, at once or when the store has answered."""
        page = self.from_memory(message)
        if page is not None:
            self._voice.flush()
            self._voice.tell(message.channel, page)
        else:
            self._actor.spawn(self._show_older(message), name="replay")

    async def _show_older(self, message: Replay) -> None:
        try:
            page = await self.from_store(message)
        except AskRefused as refusal:
            logger.warning("a replay is not possible: %s", refusal)
            return
        if page is None:
            again_s = _LOOK_AGAIN_S if self.from_memory(message) is None else 0.0
            self._actor.call_later(again_s, self.show, message)
        else:
            self._voice.tell(message.channel, page)

    def tell_outcome(self, effect: FindOutcome) -> None:
        """Tells the channel that repeated a message how its turn has ended, when that is found."""
        self._actor.spawn(self._tell_outcome(effect), name="find outcome")

    async def _tell_outcome(self, effect: FindOutcome) -> None:
        outcome = await self.outcome(effect)
        if outcome is not None:
            self._voice.tell(effect.deliver.channel, outcome)

    def from_memory(self, message: Replay) -> ReplayPage | None:
        """The complete page as of now; None if older events have to be read first.

        What was published before must have been sent when this is called, and the page be sent at once.
        """
        events: tuple[DurableEvent, ...] | None = ()
        if message.after_seq is not None:
            events = self._core.recent.after(message.after_seq)
        if events is None:
            return None
        turn = self._core.turn
        return ReplayPage(
            session=message.session,
            incarnation=self._actor.incarnation or 0,
            connection=message.connection,
            after_seq=message.after_seq,
            events=events,
            complete=True,
            running=turn.said_so_far() if turn is not None else None,
            last_seq=self._core.state.seq,
        )

    async def from_store(self, message: Replay) -> ReplayPage | None:
        """A page of older events; None if there are none: `from_memory` may have the answer by now.

        Raises:
            AskRefused: the store cannot read them.
        """
        assert message.after_seq is not None
        page: EventsPage = await self._directory.ask(
            self._actor,
            "persistence",
            ReadEvents(session=message.session, after_seq=message.after_seq),
            timeout_s=_STORE_TIMEOUT_S,
        )
        if not page.events:
            self._core.recent.nothing_stored_after(message.after_seq)
            return None
        return ReplayPage(
            session=message.session,
            incarnation=self._actor.incarnation or 0,
            connection=message.connection,
            after_seq=message.after_seq,
            events=page.events,
            complete=False,
        )

    async def find_event(self, session: str, seq: int) -> DurableEvent | None:
        """One durable event by its number, wherever it is kept."""
        recent = self._core.recent.after(seq - 1)
        if recent is None:
            page: EventsPage = await self._directory.ask(
                self._actor,
                "persistence",
                ReadEvents(session=session, after_seq=seq - 1, max_events=1),
                timeout_s=_STORE_TIMEOUT_S,
            )
            recent = page.events
        return next((event for event in recent if event.seq == seq), None)

    async def outcome(self, effect: FindOutcome) -> Accepted | None:
        """What answers a repeated message whose turn has ended.

        None where its end cannot be read: there is no answer then, and the channel tells that it was not taken.
        """
        deliver = effect.deliver
        try:
            event = await self.find_event(deliver.session, effect.ended_seq)
        except AskRefused as refusal:
            logger.warning("the outcome of a repeated message cannot be read: %s", refusal)
            return None
        return Accepted(
            session=deliver.session,
            delivery_id=deliver.delivery_id,
            message_id=deliver.message_id,
            duplicate=effect.receipt,
            turn_done=event if isinstance(event, TurnDone) else None,
        )
