"""Owns the message with which a crashing actor takes its leave."""

from __future__ import annotations

__all__ = ["ActorFailed"]

from typing import Any

import msgspec


class ActorFailed(msgspec.Struct, frozen=True, kw_only=True):
    """Sent to the parent by an actor that crashes, before it exits. `ChildActorExited` follows."""

    address: Any
    """The actor that crashed."""

    reason: str
    """The type of the exception, and the place where it was raised; no text of users."""

    incarnation: int | None = None
    """The actor's `incarnation`, if it has one."""

    message_id: str | None = None
    """`message_id` of the message whose handling crashed, if it has one."""

    def __str__(self) -> str:
        return f"ActorFailed({self.reason})"
