"""Owns the messages that are on their way to a session and not yet accepted or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from openclaw_actors.messages import Deliver

__all__ = ["Held", "Hold"]

_OVERHEAD_BYTES = 512


@dataclass(slots=True)
class Held:
    """A message without a receipt yet."""

    deliver: Deliver
    connection: str
    deadline: float
    """Monotonic; after it the sender is told that the message was not taken."""
    newest_before: int | None = None
    """Number of the session's newest event when it came in; None: not known then."""

    @property
    def size(self) -> int:
        """About how many bytes it keeps."""
        return sys.getsizeof(self.deliver.text) + _OVERHEAD_BYTES


class Hold:
    """Holds messages in the order in which they came, until their receipt or their deadline.

    Args:
        max_per_session: messages of one session.
        max_bytes: of all sessions together, about.
        timeout_s: how long a message waits for its receipt.
    """

    def __init__(self, *, max_per_session: int, timeout_s: float, max_bytes: int = 67_108_864) -> None:
        self._max_per_session = max_per_session
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._held: dict[str, Held] = {}
        self._per_session: dict[str, int] = {}
        self._bytes = 0

    def use(self, *, max_per_session: int, timeout_s: float) -> None:
        """Other limits hold, for what comes from now on."""
        self._max_per_session = max_per_session
        self._timeout_s = timeout_s

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        """All that is held, oldest first."""
        return iter(tuple(self._held.values()))

    def put(self, deliver: Deliver, connection: str, now: float) -> Held | None:
        """Hold one more; None where the session, or the whole, has no room."""
        waiting = self._per_session.get(deliver.session, 0)
        held = Held(deliver=deliver, connection=connection, deadline=now + self._timeout_s)
        if waiting >= self._max_per_session or self._bytes + held.size > self._max_bytes:
            return None
        self._held[deliver.delivery_id] = held
        self._per_session[deliver.session] = waiting + 1
        self._bytes += held.size
        return held

    def release(self, delivery_id: str) -> Held | None:
        """Let go of one; None where it is not, or no longer, held."""
        held = self._held.pop(delivery_id, None)
        if held is None:
            return None
        session = held.deliver.session
        left = self._per_session[session] - 1
        if left:
            self._per_session[session] = left
        else:
            del self._per_session[session]
        self._bytes -= held.size
        return held

    def release_session(self, session: str) -> None:
        """Let go of all that is held for a session."""
        for held in self:
            if held.deliver.session == session:
                self.release(held.deliver.delivery_id)

    def expired(self, now: float) -> list[Held]:
        """Let go of, and return, all whose deadline has passed."""
        late = [held for held in self._held.values() if held.deadline <= now]
        for held in late:
            self.release(held.deliver.delivery_id)
        return late
