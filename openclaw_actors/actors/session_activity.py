"""Decides what a session does, in a few words, and tells the router when that changes, while somebody follows."""

from __future__ import annotations

import time
from collections.abc import Callable

from openclaw_actors.actors.board import tree_is_followed
from openclaw_actors.actors.session_approvals import ApprovalWatch
from openclaw_actors.actors.turn_clock import TurnClock
from openclaw_actors.core.session import SessionCore
from openclaw_actors.messages import Message, SessionActivity

__all__ = ["SessionDoing"]

_MAX_NAME_CHARS = 64
_MAX_NAMES = 3


class SessionDoing:
    """What one session does.

    Args:
        core: the conversation.
        approvals: knows which tools wait for a person.
        clock: of the running turn.
        tell_router: takes what is told.
    """

    def __init__(
        self,
        core: SessionCore,
        incarnation: int,
        approvals: ApprovalWatch,
        clock: TurnClock,
        tell_router: Callable[[Message], None],
    ) -> None:
        self._core = core
        self._incarnation = incarnation
        self._approvals = approvals
        self._clock = clock
        self._tell_router = tell_router
        self._told: SessionActivity | None = None
        self._turn_id = ""
        self._turn_since: float | None = None

    @property
    def words(self) -> str:
        """As `status` shows it."""
        if self._core.turn is not None:
            return self._approvals.doing or f"turn {self._clock.seconds:.0f} s"
        return self._without_turn()

    def tell(self, *, again: bool = False) -> None:
        """Tell the router, if somebody follows the tree and it does not know.

        Args:
            again: also if it knows: somebody has just begun to follow.
        """
        if not tree_is_followed():
            return
        now = self._now()
        if again or now != self._told:
            self._told = now
            self._tell_router(now)

    def _now(self) -> SessionActivity:
        turn = self._core.turn
        asks = self._approvals.doing if turn is not None else ""
        if turn is None:
            doing = self._without_turn()
        elif asks:
            doing = asks
        else:
            doing = "model call" if turn.call_id is not None else self._tools() or "writing"
        return SessionActivity(
            session=self._core.state.key,
            incarnation=self._incarnation,
            activity="waiting" if asks else "idle" if doing == "idle" else "busy",
            doing=doing,
            since=self._since(turn.turn_id) if turn is not None else None,
            mailbox_depth=self._core.mailbox_depth,
        )

    def _since(self, turn_id: str) -> float:
        if turn_id != self._turn_id or self._turn_since is None:
            self._turn_id = turn_id
            self._turn_since = round(time.time() - self._clock.seconds, 3)
        return self._turn_since

    def _tools(self) -> str:
        """The tools that run, by name: names are the model's words, so they are cut."""
        step = self._core.state.open[0].steps[-1:] if self._core.state.open else []
        running = [
            call.name[:_MAX_NAME_CHARS]
            for each in step
            for call in each.calls
            if call.call_id in each.started and call.call_id not in each.outcomes
        ]
        more = f" and {len(running) - _MAX_NAMES} more" if len(running) > _MAX_NAMES else ""
        return f"runs {', '.join(running[:_MAX_NAMES])}{more}" if running else ""

    def _without_turn(self) -> str:
        if self._core.compaction.runs:
            return "compacting"
        return "idle" if self._core.idle else "writing"
