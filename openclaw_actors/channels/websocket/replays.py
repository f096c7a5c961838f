"""Owns the replays that run: asked again when no answer comes, the next page only when the last one is sent."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.follow import Follow
from openclaw_actors.messages import Replay

__all__ = ["Replays"]


class Replays:
    """Asks sessions for what connections miss.

    Args:
        channel: name of the channel's service, for the answers.
        route: sends to the router.
        answer_timeout_s: after which an unanswered page is asked for again.
    """

    def __init__(self, channel: str, route: Callable[[Replay], None], answer_timeout_s: float = 5.0) -> None:
        self._channel = channel
        self._route = route
        self._answer_timeout_s = answer_timeout_s
        self._asked: dict[tuple[str, str], tuple[Follow, float]] = {}
        self._room_wanted: dict[str, dict[str, Follow]] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, connection: Connection, follow: Follow, after_seq: int | None, now: float) -> None:
        """Ask for everything after a number; None: only for what runs now, and what comes."""
        follow.ask(after_seq)
        self._send(connection.id, follow, now)

    def ask_again(self, connection: Connection, follow: Follow, now: float) -> None:
        """Ask for what is missing, wherever the connection stands: its session, or the router, was replaced."""
        self.ask(connection, follow, follow.asked_after if follow.replaying else follow.last_seq, now)

    def ask_when_drained(self, connection: Connection, follow: Follow) -> None:
        """Ask for the next page once the connection has taken this one."""
        self._asked.pop((connection.id, follow.session), None)
        self._room_wanted.setdefault(connection.id, {})[follow.session] = follow

    def drained(self, connection: Connection, now: float) -> None:
        """The connection has taken all that it was sent."""
        for follow in self._room_wanted.pop(connection.id, {}).values():
            if follow.replaying:
                self._send(connection.id, follow, now)

    def done(self, connection: Connection, follow: Follow) -> None:
        """The last page came."""
        self._asked.pop((connection.id, follow.session), None)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._room_wanted.pop(connection.id, None)
        for session in connection.follows:
            self._asked.pop((connection.id, session), None)

    def tick(self, now: float) -> None:
        """Ask again where no answer came in time."""
        late = [(key, follow) for key, (follow, at) in self._asked.items() if at <= now]
        for (connection, _), follow in late:
            self._send(connection, follow, now)

    def _send(self, connection: str, follow: Follow, now: float) -> None:
        self._asked[connection, follow.session] = (follow, now + self._answer_timeout_s)
        self._route(
            Replay(
                session=follow.session,
                channel=self._channel,
                connection=connection,
                after_seq=follow.asked_after,
            )
        )
