"""Decides which session a decision about a waiting tool belongs to, and holds it until its outcome is known.

A connection decides only about sessions that it follows or names, and those are its principal's own: what another
principal's session asks is as unknown to it as what nobody asks.
"""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors.channels.sessions import session_key
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.core.drafts import approval_mark
from openclaw_actors.messages import DecideApproval, Message

__all__ = ["Decisions"]

_MAX_HELD = 10_000


class Decisions:
    """The decisions of all connections that have no outcome yet.

    Args:
        channel: name of the channel's service.
        route: sends to the router.
        timeout_s: after which a decision counts as not taken.
    """

    def __init__(self, channel: str, route: Callable[[Message], None], *, timeout_s: float) -> None:
        self._channel = channel
        self._route = route
        self._timeout_s = timeout_s
        self._held: dict[tuple[str, str, str], tuple[DecideApproval, float]] = {}

    def use(self, *, timeout_s: float) -> None:
        """Another time holds, for what is decided from now on."""
        self._timeout_s = timeout_s

    def decide(
        self, connection: Connection, approval_id: str, session_id: str | None, now: float, *, approved: bool
    ) -> bool:
        """Take a decision on its way; False where the connection's principal is asked no such thing."""
        session = self._session_of(connection, approval_id, session_id)
        if session is None:
            return False
        decision = DecideApproval(
            session=session,
            approval_id=approval_id,
            approved=approved,
            by=self._channel,
            channel=self._channel,
            connection=connection.id,
        )
        key = (session, approval_id, connection.id)
        if key not in self._held and len(self._held) < _MAX_HELD:
            self._held[key] = (decision, now + self._timeout_s)
        self._route(decision)
        return True

    def settled(self, session: str, approval_id: str, connection_id: str) -> None:
        """Its outcome is known."""
        self._held.pop((session, approval_id, connection_id), None)

    def send_again(self, session: str | None = None) -> None:
        """Another router, or another process of this session, knows nothing of them: the first decision stands."""
        for decision, _ in self._held.values():
            if session is None or decision.session == session:
                self._route(decision)

    def late(self, now: float) -> list[DecideApproval]:
        """Those that nobody has taken in time; they are held no longer."""
        found = [key for key, (_, until) in self._held.items() if until <= now]
        return [self._held.pop(key)[0] for key in found]

    def _session_of(self, connection: Connection, approval_id: str, session_id: str | None) -> str | None:
        mark = approval_id.partition("-")[0]
        if session_id is not None:
            named = session_key(connection.principal, session_id)
            if approval_mark(named) == mark:
                return named
        return next((session for session in connection.follows if approval_mark(session) == mark), None)
