"""Watches the tools of one session that wait for a person: their deadlines, and who is told that they wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from openclaw_actors.actors.turn_clock import TurnClock
from openclaw_actors.core.approvals import waiting, waiting_calls
from openclaw_actors.core.effects import ApprovalsChanged, StartTurnClock
from openclaw_actors.core.session import SessionCore
from openclaw_actors.messages import ApprovalsWaiting, Message

__all__ = ["ApprovalWatch"]

_LOOK_EVERY_S = 5.0
"""The wall clock counts, too, and a machine that slept has told no timer of it."""


class ApprovalWatch:
    """The clocks of a session's turn and of its questions.

    A question's time is over when the wall clock says so, or when its time has passed by the clock that cannot be set:
    so a step backwards lengthens nothing.

    Args:
        core: the conversation.
        clock: of the turn; it stands still while anybody is asked.
        call_later: the actor's timer.
        tell_router: takes what waits now.
        expired: told of each approval whose time is over.
    """

    def __init__(
        self,
        core: SessionCore,
        incarnation: int,
        clock: TurnClock,
        *,
        call_later: Callable[..., asyncio.TimerHandle],
        tell_router: Callable[[Message], None],
        expired: Callable[[str], None],
    ) -> None:
        self._core = core
        self._incarnation = incarnation
        self._clock = clock
        self._call_later = call_later
        self._tell_router = tell_router
        self._expired = expired
        self._deadlines: dict[str, float] = {}
        """By approval, monotonic."""
        self._timer: asyncio.TimerHandle | None = None
        self._told = False

    @property
    def doing(self) -> str:
        """What a person could see of it; empty: nothing waits."""
        names = [approval.name for approval in waiting(self._core.state).values()]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"asks whether {names[0]}{more} may run" if names else ""

    @property
    def left_s(self) -> float | None:
        """Seconds until the first question's time is over; None: nothing waits."""
        return max(0.0, min(self._deadlines.values()) - time.monotonic()) if self._deadlines else None

    def rest(self) -> None:
        """The next incarnation looks after the questions."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Whose time is over?"""
        self._look()

    def carry_out(self, effect: StartTurnClock | ApprovalsChanged) -> None:
        """Start the turn's clock, or look at what waits now."""
        turn = self._core.turn
        if isinstance(effect, ApprovalsChanged):
            self._changed()
        elif turn is not None:
            self._clock.start(effect.turn_id, turn.correlation_id)

    def _changed(self) -> None:
        calls = waiting_calls(self._core.state)
        if calls or self._told:
            self._told = bool(calls)
            self._tell_router(
                ApprovalsWaiting(session=self._core.state.key, incarnation=self._incarnation, waiting=calls)
            )
        if calls:
            self._clock.hold()
        elif self._core.turn is not None:
            self._clock.go_on()
        self._look()

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now, wall, limit_s = time.monotonic(), time.time(), self._core.approvals.timeout_s
        left = waiting(self._core.state)
        self._deadlines = {
            each: self._deadlines.get(each, now + min(limit_s, max(0.0, approval.expires_at - wall)))
            for each, approval in left.items()
        }
        for each, approval in left.items():
            if wall >= approval.expires_at or now >= self._deadlines[each]:
                self._expired(each)
        if self._deadlines:
            next_s = min(self._deadlines.values()) - now
            # One that is over and not yet recorded is looked at again in a while.
            next_s = next_s if next_s > 0 else 1.0
            self._timer = self._call_later(min(_LOOK_EVERY_S, next_s), self._look)
