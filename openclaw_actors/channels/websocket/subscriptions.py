"""Owns who follows which session."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw_actors.channels.follow import Follow
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.wire import session_suffix

__all__ = ["Followed", "Subscriptions"]


class Followed:
    """A session that somebody here follows."""

    __slots__ = ("connections", "lost", "suffix")

    def __init__(self, session_id: str) -> None:
        self.connections: dict[str, Connection] = {}
        self.suffix = session_suffix(session_id)
        """Ends the body of each of its events."""
        self.lost = -1
        """The newest incarnation that is known to be dead; what it still says counts for nothing."""


class Subscriptions:
    """Sessions and the connections that follow them; a session that nobody follows is forgotten."""

    def __init__(self) -> None:
        self._sessions: dict[str, Followed] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def get(self, session: str) -> Followed | None:
        """Who follows the session; None: nobody."""
        return self._sessions.get(session)

    def follow(self, connection: Connection, session: str, session_id: str, last_seq: int | None) -> Follow:
        """This connection follows this session from now on."""
        followed = self._sessions.get(session)
        if followed is None:
            followed = self._sessions[session] = Followed(session_id)
        followed.connections[connection.id] = connection
        follow = connection.follows[session] = Follow(session, last_seq)
        return follow

    def leave(self, connection: Connection) -> list[str]:
        """This connection is gone; returns the sessions that nobody follows any more."""
        left: list[str] = []
        for session in connection.follows:
            followed = self._sessions[session]
            del followed.connections[connection.id]
            if not followed.connections:
                del self._sessions[session]
                left.append(session)
        return left

    def pairs(self) -> Iterator[tuple[Connection, Follow]]:
        """Every connection with everything that it follows."""
        for session, followed in tuple(self._sessions.items()):
            for connection in tuple(followed.connections.values()):
                yield connection, connection.follows[session]
