"""Knows whose a session is."""

from __future__ import annotations

__all__ = ["principal_of"]


def principal_of(session: str) -> str:
    """A principal's name for a session over one of our ports, `sms:NUMBER` for a telephone's."""
    channel, _, rest = session.partition(":")
    return rest.partition(":")[0] if channel == "websocket" else f"{channel}:{rest}"
