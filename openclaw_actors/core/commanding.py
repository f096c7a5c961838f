"""Carries out what a person told the gateway within a conversation, between the events of a turn."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.answering import answer
from openclaw_actors.core.approvals import ApprovalDesk
from openclaw_actors.core.busy import was_just_stopped
from openclaw_actors.core.commands import parse_command
from openclaw_actors.core.compaction import Compactor
from openclaw_actors.core.conversation import Conversation, OpenMessage
from openclaw_actors.core.drafts import turn_ended
from openclaw_actors.core.effects import Effect, RunCommand
from openclaw_actors.core.writing import Writing

__all__ = ["Commanding"]

_STOPPED = "Stopped."
_NOTHING_TO_STOP = "There is nothing to stop."
_NO_SUCH_COMMAND = "This version does not know that command."


class Commanding:
    """The commands of one session.

    Args:
        end_turn: ends whatever runs, with the facts that say so.
        turn_runs: whether a turn does.
    """

    def __init__(
        self,
        state: Conversation,
        limits: SessionLimits,
        writing: Writing,
        compaction: Compactor,
        approvals: ApprovalDesk,
        *,
        end_turn: Callable[[float], list[Effect]],
        turn_runs: Callable[[], bool],
    ) -> None:
        self._state = state
        self._limits = limits
        self._writing = writing
        self._compaction = compaction
        self._approvals = approvals
        self._end_turn = end_turn
        self._turn_runs = turn_runs

    def use(self, limits: SessionLimits) -> None:
        """Other limits hold."""
        self._limits = limits

    def run(self, message: OpenMessage, now: float) -> list[Effect]:
        """Does what the message says, or lets the actor do it."""
        writing = self._writing
        command = parse_command(message.text)
        if command is None:  # recorded by a version of the gateway that knows more of them
            writing.facts.append(turn_ended(message, "failed", _NO_SUCH_COMMAND, code="unknown_command"))
            return []
        effects: list[Effect] = []
        before = len(writing.facts)
        if command.ends_turn:
            effects += self._end_turn(now)
        if command.name == "stop":
            stopped = len(writing.facts) > before or bool(effects) or was_just_stopped(self._state, now)
            text = _STOPPED if stopped else _NOTHING_TO_STOP
            writing.facts.append(turn_ended(message, "completed", text))
            return effects
        if command.name == "compact":
            drafts, begun = self._compaction.asked(message)
            writing.facts += drafts
            return begun
        if command.name in ("approve", "deny"):
            approved = command.name == "approve"
            decided, _, text = self._approvals.decide(
                command.argument, writing.facts, now, approved=approved, by=message.channel
            )
            writing.facts += [*decided, turn_ended(message, "completed", text)]
            return effects
        told = answer(command, self._state, self._limits, turn_runs=self._turn_runs())
        if told is not None:
            writing.facts += [*told.drafts, turn_ended(message, "completed", told.text)]
            return effects
        run = RunCommand(message.message_id, command)
        if len(writing.facts) > before:
            writing.after.append(run)
            return effects
        return [*effects, run]
