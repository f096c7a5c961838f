"""Keeps what comes of a model call that went out beside the record of its question, until that record stands.

Such a call takes a turn to the model and back while the disk is busy. Nothing of it is told before the record is
stored, and nothing is left of it where the record is refused.
"""

from __future__ import annotations

from typing import TypeAlias

from openclaw_actors.core.effects import CallModel, CancelModel, Effect, TakeUp
from openclaw_actors.core.records import UserSaid, turn_id_of
from openclaw_actors.core.turn import Turn, call_id_of
from openclaw_actors.messages.model import CallFailed, Completed, ModelDelta

__all__ = ["EarlyCall", "EarlyCalls"]

_Heard: TypeAlias = ModelDelta | Completed | CallFailed


class EarlyCall:
    """The first model call of a turn that is not recorded yet.

    Args:
        said: the question, whose record is on its way.
        now: Unix time.
    """

    def __init__(self, said: UserSaid, now: float) -> None:
        turn_id = turn_id_of(said.message_id)
        self.effect = CallModel(
            call_id_of(turn_id, attempt=1, number=1), said.correlation_id, turn_id, question=said.text
        )
        self.since = now
        self.heard: list[_Heard] = []
        self.chars = 0

    def taken_up(self, turn: Turn) -> list[Effect]:
        """The question stands, and the turn waits for this call: what was kept counts."""
        turn.goes_out(self.since)
        return [TakeUp(tuple(self.heard))] if self.heard else []


class EarlyCalls:
    """The early call of a session; there is one at most, as there is one write."""

    def __init__(self) -> None:
        self._call: EarlyCall | None = None

    def begin(self, said: UserSaid, now: float) -> CallModel:
        """Call for a message that is being recorded."""
        self._call = EarlyCall(said, now)
        return self._call.effect

    def waits_for(self, call_id: str) -> bool:
        """Whether this is the call."""
        return self._call is not None and self._call.effect.call_id == call_id

    def hear(self, message: _Heard, *, most_chars: int) -> list[Effect] | None:
        """The model said something.

        Args:
            most_chars: more is not kept. The call is ended then, and made anew when its question stands: what is
                said too much is an error of a turn, and there is none yet.

        Returns:
            None if it is for somebody else.
        """
        call = self._call
        if call is None or call.effect.call_id != message.call_id:
            return None
        call.heard.append(message)
        call.chars += len(message.text)
        return self.drop() if call.chars > most_chars else []

    def take(self) -> EarlyCall | None:
        """The call, as its question is stored."""
        call, self._call = self._call, None
        return call

    def drop(self) -> list[Effect]:
        """The call is not wanted, if there is one."""
        call = self.take()
        return [CancelModel(call.effect.call_id)] if call is not None else []
