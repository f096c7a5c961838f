"""Owns the limits of the transport: their names, their defaults and what happens at each."""

from __future__ import annotations

__all__ = ["DEFAULT_LIMITS", "Limits"]

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit of one actor system. Sizes are bytes, durations are seconds (`_s`)."""

    frame: int = 16 * 1024 * 1024
    """A larger message is not sent: `send` and `ask` raise `FrameTooLarge`, the connection goes on."""

    peer_queue: int = 32 * 1024 * 1024
    """Bytes that wait for one peer. Beyond it `on_overflow` is called and an `ask` raises `QueueFull`."""

    peer_queue_frames: int = 20_000
    """Frames that wait for one peer, or for the sender itself; as `peer_queue`."""

    mailbox: int = 64 * 1024 * 1024
    """Bytes that are received and not handled. Beyond it nothing is read, so the senders' queues fill."""

    mailbox_frames: int = 50_000
    """Frames that are received and not handled; as `mailbox`."""

    connect_s: float = 30.0
    """How long a peer whose backlog is full, or a lack of descriptors, is waited for. Then it counts as dead."""

    greet_s: float = 30.0
    """How long a new connection may take to say whose it is. Then it is closed."""

    last_words_s: float = 0.5
    """How long a crashing actor waits until its parent's connection has taken its `ActorFailed`."""

    stop_s: float = 5.0
    """How long `on_stop` may take, and after it how long children may take to exit before they are killed."""


DEFAULT_LIMITS = Limits()
