"""Decides which tools of a step may start: those that change something run alone, in the order of the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from openclaw_actors.core.approvals import waiting
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import tool_started
from openclaw_actors.core.records import (
    ApprovalAsked,
    ApprovalDecided,
    Record,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    turn_id_of,
)
from openclaw_actors.messages.model import Completed, ToolCall

__all__ = ["due_starts", "first_starts", "startable"]


def startable(
    calls: Iterable[ToolCall],
    *,
    started: Collection[str],
    settled: Collection[str],
    beside: Callable[[str], bool],
) -> list[ToolCall]:
    """The calls that may start now.

    One that runs beside others may where all that run do so, too; any other where none runs. Whoever has to wait is
    overtaken by nobody.

    Args:
        calls: of the step, in order.
        started: ids of those that have started.
        settled: ids of those that are over, or wait for a person and are in nobody's way.
        beside: whether the tool of this name runs beside others.
    """
    queue = [call for call in calls if call.call_id not in settled]
    running = [beside(call.name) for call in queue if call.call_id in started]
    found: list[ToolCall] = []
    for call in queue:
        if call.call_id in started:
            continue
        mine = beside(call.name)
        if running and not (mine and all(running)):
            break
        running.append(mine)
        found.append(call)
    return found


def first_starts(
    turn_id: str, answer: Completed, asked: Sequence[Record], beside: Callable[[str], bool]
) -> list[Record]:
    """The starts of the tools that a model's answer asks for, as far as they are due at once.

    Args:
        asked: what is recorded of the answer before them: refusals, and questions to people.
    """
    settled = {each.call_id for each in asked if isinstance(each, (ToolFinished, ApprovalAsked))}
    calls = startable(answer.tool_calls, started=(), settled=settled, beside=beside)
    return [tool_started(turn_id, call) for call in calls]


def due_starts(state: Conversation, pending: Sequence[Record], beside: Callable[[str], bool]) -> list[Record]:
    """The starts of the running turn's tools that are due.

    Args:
        pending: records that are not yet part of the state.
    """
    if not state.open or not state.open[0].steps:
        return []
    turn_id = turn_id_of(state.open[0].message_id)
    if any(isinstance(each, TurnEnded) and each.turn_id == turn_id for each in pending):
        return []
    step = state.open[0].steps[-1]
    decided = {each.call_id for each in pending if isinstance(each, ApprovalDecided)}
    asked = {each.call_id for each in waiting(state).values() if each.turn_id == turn_id}
    over = {each.call_id for each in pending if isinstance(each, ToolFinished) and each.turn_id == turn_id}
    begun = {each.call_id for each in pending if isinstance(each, ToolStarted) and each.turn_id == turn_id}
    calls = startable(
        step.calls,
        started=step.started | begun,
        settled=step.outcomes.keys() | over | (asked - decided),
        beside=beside,
    )
    return [tool_started(turn_id, call) for call in calls]
