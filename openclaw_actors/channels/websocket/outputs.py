"""What the channel's core wants done. The actor carries it out; tests record it."""

from __future__ import annotations

from typing import Protocol

from openclaw_actors.messages import Message

__all__ = ["Outputs"]


class Outputs(Protocol):
    """Takes what the core decides, at once and without calling back."""

    def frame(self, connection: str, frame: bytes) -> None:
        """Send a frame to a connection; nothing happens where it is closed."""

    def close(self, connection: str, code: int, reason: str) -> None:
        """Close a connection, after what was sent to it."""

    def route(self, message: Message) -> None:
        """Send to the router."""

    def page_sent(self, connection: str) -> None:
        """Call `WebSocketCore.drained` once the connection has taken what it was sent so far."""
