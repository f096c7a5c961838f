"""Owns what is known of one connection: who it is, what it follows, how much it has said."""

from __future__ import annotations

from openclaw_actors.channels.follow import Follow
from openclaw_actors.channels.websocket.answers import Answers
from openclaw_actors.core.rate import RateWindow

__all__ = ["Connection"]


class Connection:
    """One client's connection.

    Args:
        id: unique for ever, and not to be guessed: message ids are made from it.
        principal: who it is.
        address: the client's, for limits.
        session_id: the session that it named in the URL, or, in dialects 1 and 2, its own.
        bound: whether that session is the connection's own and ends with it.
        answers: for dialects 1 and 2; None: `openclaw.v2`.
        messages_per_minute: how much it may say.
    """

    __slots__ = (
        "_said",
        "address",
        "answers",
        "bound",
        "follows",
        "id",
        "messages",
        "principal",
        "session_id",
    )

    def __init__(
        self,
        *,
        id: str,
        principal: str,
        address: str,
        session_id: str | None,
        bound: bool,
        answers: Answers | None,
        messages_per_minute: int,
    ) -> None:
        self.id = id
        self.principal = principal
        self.address = address
        self.session_id = session_id
        self.bound = bound
        self.answers = answers
        self.follows: dict[str, Follow] = {}
        """By the session's key."""
        self.messages = RateWindow(messages_per_minute)
        self._said = 0

    def next_delivery_id(self) -> str:
        """An id for one more hand-over."""
        self._said += 1
        return f"{self.id}.{self._said}"
