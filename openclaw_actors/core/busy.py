"""Decides what becomes of messages that wait: their order, whose turn answers them, and when no turn may begin."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.answering import busy_mode
from openclaw_actors.core.commands import parse_command
from openclaw_actors.core.conversation import Conversation, OpenMessage
from openclaw_actors.core.drafts import absorbed, turn_began
from openclaw_actors.core.records import Record, TurnBegan, TurnEnded

__all__ = ["history_changes", "next_turn", "steered", "was_just_stopped", "without_next_turn"]

_JUST_NOW_S = 5.0


def next_turn(
    state: Conversation, limits: SessionLimits, running: str | None, after: Sequence[Record]
) -> list[Record]:
    """The beginning of the turn that is next; nothing where none waits, or none may begin.

    Args:
        running: the message whose turn runs.
        after: drafts that are written before it, such as that turn's end.
    """
    ended = {record.message_id for record in after if isinstance(record, TurnEnded)}
    begun = {record.message_id for record in after if isinstance(record, TurnBegan)}
    if begun - ended or (running is not None and running not in ended):
        return []
    waiting = [message for message in state.open if message.message_id not in ended]
    if not waiting or history_changes(state, ended):
        return []
    message, taken = _collected(state, limits, waiting)
    return [*taken, turn_began(message.message_id, attempt=message.attempt + 1, deaths=message.deaths)]


def _collected(
    state: Conversation, limits: SessionLimits, waiting: Sequence[OpenMessage]
) -> tuple[OpenMessage, list[Record]]:
    """The message whose turn is next, and, where messages are collected, how it takes in those before it."""
    first, last = waiting[0], waiting[-1]
    length = sum(len(message.text) for message in waiting)
    if (
        len(waiting) == 1
        or first.attempt
        or length > limits.max_batch_chars
        or busy_mode(state, limits) != "collect"
    ):
        return first, []
    return last, absorbed(last, waiting[:-1], "collected")


def steered(state: Conversation, limits: SessionLimits) -> list[Record]:
    """How the turn that runs takes in what was said meanwhile, between two of its steps, where that is wanted."""
    running, *waiting = state.open
    if not running.steps or not waiting or busy_mode(state, limits) != "steer":
        return []
    return absorbed(running, waiting, "steered")


def history_changes(state: Conversation, ended: Collection[str] = ()) -> bool:
    """Whether a command is under way after which the model is to be given another history."""
    for message in state.commands:
        command = parse_command(message.text)
        if message.message_id not in ended and command is not None and command.changes_history:
            return True
    return False


def was_just_stopped(state: Conversation, now: float) -> bool:
    """Whether the last turn was stopped a moment ago, such as by the router with the session's process."""
    window = state.window
    return bool(window) and window[-1].status == "stopped" and now - state.last_active_at < _JUST_NOW_S


def without_next_turn(records: Sequence[Record]) -> list[Record]:
    """The records without the turn that begins after the last end: it is chosen anew when they are written."""
    kept = list(records)
    if any(isinstance(record, TurnEnded) for record in kept):
        while isinstance(kept[-1], TurnBegan):
            kept.pop()
    return kept
