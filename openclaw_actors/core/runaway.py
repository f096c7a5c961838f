"""Decides, before the next call is made, when a turn has had enough: the same tool over and over, too many tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.history import Step
from openclaw_actors.messages.model import ToolCall

__all__ = ["LOOP", "Looping", "looping", "over_budget"]

LOOP = "The same tool was asked for with the same arguments over and over, so the turn was ended."
_REPEATED = (
    "Error: this is call {count} of {name} with the same arguments in this turn, and it was not run. "
    "Use the results that you have, try something else, or tell the user what is in the way. "
    "Asking for it once more ends the turn."
)
_TURN = "This turn has reached its token limit ({used:,}/{budget:,} tokens)."
_SESSION = "You've reached the token limit for this session. Please start a new conversation."


class Looping(msgspec.Struct, frozen=True):
    """What of a model's answer repeats itself."""

    refused: dict[str, str]
    """Calls that are not run, by id, and what the model is told instead."""
    ends: bool
    """The model was told before: the turn is over."""


def looping(steps: Sequence[Step], calls: Sequence[ToolCall], limit: int) -> Looping:
    """What of the calls that the model asks for repeats what it asked for before in this turn.

    Args:
        steps: of the turn so far.
        limit: with how many equal calls it is told; 0: never.
    """
    if not limit:
        return Looping({}, ends=False)
    before = Counter(_same(call) for step in steps for call in step.calls) if steps else Counter[object]()
    counts = before.copy()
    refused: dict[str, str] = {}
    ends = False
    for call in calls:
        same = _same(call)
        ends = ends or before[same] >= limit
        counts[same] += 1
        if counts[same] >= limit:
            refused[call.call_id] = _REPEATED.format(count=counts[same], name=call.name)
    return Looping(refused, ends)


def _same(call: ToolCall) -> tuple[str, bytes]:
    """Equal for calls that mean the same, however their arguments are written."""
    try:
        written = msgspec.json.encode(msgspec.json.decode(call.arguments or "{}"), order="sorted")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        written = call.arguments.encode("utf-8", "surrogatepass")
    return call.name, written


def over_budget(limits: SessionLimits, *, turn: Usage, session: Usage) -> str | None:
    """Why no further model call may be made; None: it may.

    Args:
        turn: what the running turn has used.
        session: what the ended turns of the conversation have used.
    """
    if limits.turn_token_budget and turn.total >= limits.turn_token_budget:
        return _TURN.format(used=turn.total, budget=limits.turn_token_budget)
    if limits.token_budget and turn.total + session.total >= limits.token_budget:
        return _SESSION
    return None
