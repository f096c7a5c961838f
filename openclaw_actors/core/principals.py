"""Knows whose a session is."""

from __future__ import annotations

__all__ = ["principal_of"]

_NAMED = ("websocket", "http")


def principal_of(session: str) -> str:
    """A principal's name for a session over one of our ports, `sms:NUMBER` for a telephone's."""
    channel, _, rest = session.partition(":")
    return rest.partition(":")[0] if channel in _NAMED else f"{channel}:{rest}"
