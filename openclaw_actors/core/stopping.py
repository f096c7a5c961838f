"""Decides what a stop ends, and when who asked for it is told."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import turn_ended
from openclaw_actors.core.effects import Effect, TellChannel, TellRouter
from openclaw_actors.core.records import Record, TurnEnded
from openclaw_actors.core.writing import Writing
from openclaw_actors.messages.conversation import StopOutcome, StopTurn

__all__ = ["settle_stop"]


def settle_stop(
    state: Conversation, writing: Writing, request: StopTurn, *, turn_runs: bool, before: int
) -> list[Effect]:
    """Ends what else the stop ends; who asked is told once that is recorded, or at once where nothing was stopped.

    Args:
        turn_runs: whether one did; its end is among the drafts.
        before: how many ends of turns were among them before it.
    """
    writing.facts += _ended_by_stop(state, writing.facts, queue=request.queue, turn_runs=turn_runs)
    stopped = writing.ends() - before
    told = _told_of_stop(state.key, request, stopped)
    if stopped:
        writing.after += told
        return []
    return told


def _ended_by_stop(
    state: Conversation, facts: Sequence[Record], *, queue: bool, turn_runs: bool
) -> list[Record]:
    """The ends of messages that wait, after what `facts` end already.

    Args:
        queue: of all; else only of the first, where no turn runs.
    """
    if turn_runs and not queue:
        return []
    ended = {fact.message_id for fact in facts if isinstance(fact, TurnEnded)}
    waiting = [message for message in state.open if message.message_id not in ended]
    return [turn_ended(message, "stopped", "") for message in (waiting if queue else waiting[:1])]


def _told_of_stop(session: str, request: StopTurn, stopped: int) -> list[Effect]:
    """Who is told what was stopped."""
    outcome = StopOutcome(
        session=session, stopped=stopped, channel=request.channel, connection=request.connection
    )
    told: list[Effect] = [TellRouter(outcome)]
    if request.channel is not None:
        told.append(TellChannel(request.channel, outcome))
    return told
