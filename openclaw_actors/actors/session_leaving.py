"""Decides when a session asks to end its process: idle for long enough, its connection gone, or another needs room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from openclaw_actors.actors.session_approvals import ApprovalWatch
from openclaw_actors.core.session import SessionCore
from openclaw_actors.messages import Deliver, Message, PassivationAsked, PassivationDeclined

__all__ = ["SessionLeaving"]

_LOOK_AGAIN_S = 1.0


class SessionLeaving:
    """The wishes of one session to leave memory; the router grants them, or declines.

    Args:
        core: the conversation.
        approvals: says how long a person who is asked may take.
        idle_s: how long nobody has said anything before it leaves, seconds.
        call_later: the actor's timer.
        tell_router: takes the wish, and that it is none any more.
    """

    def __init__(
        self,
        core: SessionCore,
        incarnation: int,
        approvals: ApprovalWatch,
        *,
        idle_s: float,
        call_later: Callable[..., asyncio.TimerHandle],
        tell_router: Callable[[Message], None],
    ) -> None:
        self.became_idle = asyncio.Event()
        """Set while nothing runs or waits."""
        self._core = core
        self._incarnation = incarnation
        self._approvals = approvals
        self._idle_s = idle_s
        self._call_later = call_later
        self._tell_router = tell_router
        self._bound_to = next((each.bound_to for each in core.state.open), None)
        """The channel's instance, where the conversation belongs to one of its connections."""
        self._ends = False
        self._asked = False
        self._active_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """From now on it leaves once it is idle for long enough."""
        self._timer = self._call_later(self._idle_s, self._leave_when_idle)

    def use(self, idle_s: float) -> None:
        """Another time holds."""
        self._idle_s = idle_s
        if self._timer is not None:
            self._timer.cancel()
        self._leave_when_idle()

    def delivered(self, deliver: Deliver) -> None:
        """A person's message arrived: nothing else is activity."""
        self._active_at = time.monotonic()
        self._bound_to = deliver.bound_to

    def look(self) -> None:
        """Something went on: the session may be idle now, or no longer."""
        if not self._core.idle:
            self.became_idle.clear()
            return
        self.became_idle.set()
        if self._ends:
            self._ask_if_idle()

    def channels(self, instances: Collection[str]) -> None:
        """These instances of channels run; without its own the conversation ends."""
        if self._bound_to is not None and self._bound_to not in instances:
            self.connection_closed()

    def connection_closed(self) -> None:
        """The connection that the conversation belongs to is gone."""
        self._ends = True
        self._ask_if_idle()

    def wanted(self) -> None:
        """The router would have the place."""
        self._ask_if_idle()
        if not self._asked:
            self._tell_router(self._no())

    def declined(self) -> None:
        """The router has something on its way here."""
        self._asked = False
        if self._ends:
            self._call_later(_LOOK_AGAIN_S, self._ask_if_idle)

    def stays(self) -> None:
        """The wish was granted and cannot be carried out."""
        self._asked = False
        self._tell_router(self._no())

    def _leave_when_idle(self) -> None:
        left_s = self._idle_s - (time.monotonic() - self._active_at)
        if left_s <= 0:
            self._ask_if_idle()
        self._timer = self._call_later(max(left_s, _LOOK_AGAIN_S), self._leave_when_idle)

    def _ask_if_idle(self) -> None:
        if self._core.rests and not self._asked and not self._core.draining:
            self._asked = True
            asked = PassivationAsked(
                session=self._core.state.key,
                incarnation=self._incarnation,
                reason="connection_closed" if self._ends else "idle",
                decided_within_s=self._approvals.left_s,
            )
            self._tell_router(asked)

    def _no(self) -> PassivationDeclined:
        return PassivationDeclined(session=self._core.state.key, incarnation=self._incarnation)
