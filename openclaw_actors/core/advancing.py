"""Decides what a record that has just become part of the conversation means for the turn that runs."""

from __future__ import annotations

from openclaw_actors.core.approvals import step_is_complete, waiting
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.effects import (
    ApprovalsChanged,
    CallTool,
    Effect,
    NotRun,
    Publish,
    StartTurnClock,
)
from openclaw_actors.core.records import (
    ApprovalAsked,
    ApprovalDecided,
    Record,
    SubAgentCalled,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
)
from openclaw_actors.core.turn import Turn
from openclaw_actors.messages.model import ToolCall

__all__ = ["advanced"]


def advanced(
    state: Conversation, turn: Turn | None, record: Record, now: float, *, has_end: bool
) -> tuple[Turn | None, list[Effect]]:
    """The turn after the record, and what is due now.

    Args:
        state: with the record in it.
        turn: the one that ran before it.
        has_end: of a turn that begins: its end is on the way to the journal already.
    """
    running = state.open[0] if state.open else None
    match record:
        case TurnBegan() if running is not None and running.message_id == record.message_id:
            begun = Turn.of(running, turn)
            if turn is not None and turn.message_id == record.message_id:
                begun.usage = turn.usage  # what the attempt that broke has used is used
                begun.waited_s = turn.waited_s
                begun.model = turn.model
            begun.ending = has_end
            begun.due = step_is_complete(state)
            said = begun.said_so_far()
            again: list[Effect] = [Publish((said,))] if said is not None else []
            asked: list[Effect] = [ApprovalsChanged()] if waiting(state) else []
            return begun, [*again, StartTurnClock(begun.turn_id), *asked]
        case TurnEnded() if turn is not None and turn.message_id == record.message_id:
            return None, [ApprovalsChanged()] if state.approvals else []
        case ToolStarted() if turn is not None and not turn.ending:
            turn.goes_out(now)
            call = ToolCall(call_id=record.call_id, name=record.name, arguments=record.arguments)
            return turn, [CallTool(record.turn_id, call)]
        case SubAgentCalled() if turn is not None and turn.turn_id == record.turn_id:
            turn.usage = turn.usage + record.usage
        case ApprovalAsked() | ApprovalDecided():
            if turn is not None and isinstance(record, ApprovalAsked):
                turn.goes_out(now)
            elif turn is not None:
                turn.lap(now)  # a person's time is not our own doing
            return turn, [ApprovalsChanged()]
        case ToolFinished():
            return turn, _finished(state, turn, record)
    return turn, []


def _finished(state: Conversation, turn: Turn | None, record: ToolFinished) -> list[Effect]:
    if not state.open or not state.open[0].steps:
        return []
    step = state.open[0].steps[-1]
    if turn is not None:
        turn.due = step_is_complete(state)
    if record.status != "interrupted" and record.call_id in step.started:
        return []
    call = next((each for each in step.calls if each.call_id == record.call_id), None)
    return [NotRun(record.turn_id, call, record.status, record.text)] if call is not None else []
