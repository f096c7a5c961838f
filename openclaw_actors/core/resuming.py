"""Decides how a session goes on with the turn that its last process left."""

from __future__ import annotations

from collections.abc import Collection

from openclaw_actors.core.approvals import only_waits, waiting
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import approval_decided, tool_finished, turn_began, turn_ended
from openclaw_actors.core.records import Record, turn_id_of
from openclaw_actors.core.refusals import QUARANTINED

__all__ = ["taken_up"]

_POISON_DEATHS = 2
_GONE = "The connection that this conversation belonged to is gone."
_TOOL_INTERRUPTED = "Interrupted: the outcome of this call is unknown."
_TOOL_NOT_BEGUN = "Not run: the conversation's process ended before it was this call's turn."


def taken_up(state: Conversation, *, deaths: int, live_channels: Collection[str]) -> list[Record]:
    """Drafts of what is recorded before anything else happens.

    Args:
        deaths: how often the session died by its own doing just before.
        live_channels: the instances of the channels that run now.
    """
    if not state.open:
        return []
    message = state.open[0]
    if message.bound_to is not None and message.bound_to not in live_channels:
        return [turn_ended(each, "interrupted", _GONE) for each in state.open]
    if message.attempt == 0:
        return []
    died = message.deaths + (0 if only_waits(state) else min(deaths, 1))  # a wait has killed nobody
    if died >= _POISON_DEATHS:
        return [turn_ended(message, "failed", QUARANTINED, code="quarantined")]
    interrupted: list[Record] = []
    if message.steps:
        step = message.steps[-1]
        asked = {each.call_id for each in waiting(state).values()}
        interrupted = [
            tool_finished(
                turn_id_of(message.message_id),
                call,
                "interrupted",
                _TOOL_INTERRUPTED if call.call_id in step.started else _TOOL_NOT_BEGUN,
            )
            for call in step.calls
            if call.call_id not in step.outcomes and call.call_id not in asked
        ]
    return [
        *_asked_by_sub_agents(state),
        *interrupted,
        turn_began(message.message_id, attempt=message.attempt + 1, deaths=died),
    ]


def _asked_by_sub_agents(state: Conversation) -> list[Record]:
    """The ends of questions whose sub-agent died with its process: nobody waits for their answers."""
    steps = state.open[0].steps
    ours = {call.call_id for call in steps[-1].calls} if steps else set()
    return [
        approval_decided(approval_id, approval, "ended", "restart")
        for approval_id, approval in waiting(state).items()
        if approval.call_id not in ours
    ]
