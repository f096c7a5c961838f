"""Owns the turn that runs: whose events still count, how it is silenced, ends, and begins again."""

from __future__ import annotations

from openclaw_actors.core.advancing import advanced
from openclaw_actors.core.conversation import Conversation, OpenMessage
from openclaw_actors.core.drafts import end_of, turn_began
from openclaw_actors.core.effects import CancelModel, CancelTools, Effect
from openclaw_actors.core.records import Record, TurnBegan
from openclaw_actors.core.turn import Turn
from openclaw_actors.core.writing import Writing
from openclaw_actors.messages.events import TurnStatus

__all__ = ["Running"]


class Running:
    """The turn of one session that runs, if one does.

    Args:
        writing: takes the drafts of its end and of its next attempt.
    """

    def __init__(self, state: Conversation, writing: Writing) -> None:
        self.turn: Turn | None = None
        self._state = state
        self._writing = writing

    @property
    def message(self) -> OpenMessage:
        """What it answers; only while it runs."""
        return self._state.open[0]

    def of(self, turn_id: str) -> Turn | None:
        """The turn, if it is this one and its end is not on the way."""
        turn = self.turn
        return turn if turn is not None and turn.turn_id == turn_id and not turn.ending else None

    def of_call(self, call_id: str) -> Turn | None:
        """The turn that waits for the answer to this model call."""
        turn = self.turn
        return turn if turn is not None and turn.call_id == call_id and not turn.ending else None

    def advance(self, record: Record, now: float) -> list[Effect]:
        """The record is part of the conversation: a turn begins, goes on or is over by it."""
        has_end = isinstance(record, TurnBegan) and self._writing.has_end(record.message_id)
        self.turn, effects = advanced(self._state, self.turn, record, now, has_end=has_end)
        return effects

    def silence(self, now: float) -> list[Effect]:
        """Ends its model call and its tools; nothing that still comes of them counts."""
        turn = self.turn
        if turn is None or turn.ending:
            return []
        turn.comes_back(now)
        call_id, turn.call_id = turn.call_id, None
        return [CancelTools(turn.turn_id), *([CancelModel(call_id)] if call_id is not None else [])]

    def end(self, status: TurnStatus, text: str, *, code: str | None = None) -> None:
        """Has its end recorded; a second one changes nothing."""
        turn = self.turn
        if turn is None or turn.ending:
            return
        turn.ending, turn.call_id = True, None
        self._writing.facts.append(end_of(turn, self.message, status, text, code=code))

    def begin_again(self, text: str, *, most: int) -> None:
        """Has its next attempt recorded as the model call broke off; after `most` of them, its failure with `text`."""
        turn = self.turn
        if turn is None or turn.ending:
            return
        turn.restarts += 1
        self._next_attempt(turn, text, enough=turn.restarts > most)

    def model_lost(self, text: str, *, most: int) -> None:
        """The same as the model's actor died: it has nothing to do with the turn, unless it does so again and again."""
        turn = self.turn
        if turn is None or turn.ending:
            return
        turn.losses += 1
        self._next_attempt(turn, text, enough=turn.losses > most)

    def _next_attempt(self, turn: Turn, text: str, *, enough: bool) -> None:
        if enough:
            self.end("failed", text, code="provider")
            return
        message = self.message
        again = turn_began(message.message_id, attempt=turn.attempt + 1, deaths=message.deaths)
        self._writing.facts.append(again)
