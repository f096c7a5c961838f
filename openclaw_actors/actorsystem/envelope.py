"""Owns what a message travels in within a process: to the handler with its sender, to the kernel until it is taken."""

from __future__ import annotations

__all__ = ["Envelope", "OwnEnvelope", "Post"]

from typing import Any

from thespian.actors import ActorAddress
from thespian.system.transport import ReceiveEnvelope


class Envelope(ReceiveEnvelope):
    """A received message with its sender, and the number of the ask if it wants an answer.

    Thespian formats every envelope for a log that is off (`actorManager.py:133`); this one costs nothing and
    shows no text.
    """

    def __init__(self, sender: ActorAddress, message: Any, ask_id: int = 0) -> None:
        self._sender = sender
        self._message = message
        self.ask_id = ask_id

    def identify(self) -> str:
        return type(self._message).__name__


class OwnEnvelope(Envelope):
    """A message of the actor to itself."""


class Post:
    """A message on its way, kept until the kernel has taken it. What `undelivered` tells about it."""

    __slots__ = ("address", "message")

    def __init__(self, address: Any, message: Any) -> None:
        self.address = address
        self.message = message
