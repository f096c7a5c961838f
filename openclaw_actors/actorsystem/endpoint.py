"""Owns a place outside the actors from which they can be asked, in the caller's own event loop.

    async with Endpoint(run_dir) as endpoint:
        status = await endpoint.ask(address, GetStatus(), timeout_s=2.0)

It works in the process that started the system, and in any other process of the same user that knows the run
directory and an address.
"""

from __future__ import annotations

__all__ = ["Endpoint"]

import asyncio
import logging
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from openclaw_actors.actorsystem import codec
from openclaw_actors.actorsystem.address import Address, address_key, run_dir_fits, socket_name
from openclaw_actors.actorsystem.asks import Asks, encode_refusal
from openclaw_actors.actorsystem.framing import ANSWER, ASK, REFUSAL, TELL, Frame
from openclaw_actors.actorsystem.hub import Hub, listen
from openclaw_actors.actorsystem.limits import DEFAULT_LIMITS, Limits
from openclaw_actors.errors import ActorGone, AskRefused, FrameTooLarge, QueueFull, StateDirError

logger = logging.getLogger(__name__)


class Endpoint:
    """Asks and tells actors from outside. Use it as an async context manager, in one event loop.

    Args:
        run_dir: the directory of the system's sockets; must exist.
        limits: see `Limits`.
    """

    def __init__(self, run_dir: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._run_dir = os.path.abspath(run_dir)
        self._limits = limits
        self._hub: Hub | None = None
        self._asks = Asks(self._post_ask)
        self._inbox: asyncio.Queue[tuple[Any, Address]] | None = None

    async def __aenter__(self) -> Endpoint:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Open the socket, in the running loop.

        Raises:
            StateDirError: the run directory does not exist, or is too long for a socket.
        """
        if not run_dir_fits(self._run_dir):
            raise StateDirError(f"{self._run_dir} is too long for a socket")
        path = os.path.join(self._run_dir, socket_name("x"))
        try:
            listener = listen(path)
        except OSError as error:
            raise StateDirError(f"{self._run_dir}: {error.strerror}") from error
        self._hub = Hub(asyncio.get_running_loop(), self, self._limits)
        self._hub.open(path, listener)

    def close(self) -> None:
        """Close everything; asks that still wait end with `ActorGone`."""
        if self._hub is not None:
            hub, self._hub = self._hub, None
            hub.flush()
            hub.close()
            for key in self._asks.peers():
                self._asks.peer_lost(key)

    @property
    def address(self) -> Address:
        """Where actors can send messages to this endpoint."""
        return Address(self._opened().path)

    async def ask(self, address: Any, message: Any, *, timeout_s: float) -> Any:
        """Send a message and wait for the value that its handler returns.

        Args:
            address: an `Address`, or its key.
            timeout_s: how long to wait, in seconds.

        Raises:
            AskTimeout: no answer came in time.
            ActorGone: the actor is dead, or died before it answered.
            AskRefused: the handler refused.
            QueueFull: too much waits for this actor already.
            FrameTooLarge: the message exceeds the frame limit.
        """
        self._opened()
        return await self._asks.ask(address_key(address), self._encode(message), timeout_s)

    def send(self, address: Any, message: Any) -> None:
        """Send a message and go on; one that cannot be delivered is dropped.

        Raises:
            QueueFull: too much waits for this actor already.
            FrameTooLarge: the message exceeds the frame limit.
        """
        key = address_key(address)
        if not self._opened().post(key, TELL, 0, self._encode(message), None):
            raise QueueFull(key)

    def subscribe(self, inbox: asyncio.Queue[tuple[Any, Address]]) -> None:
        """Put messages that actors send here, with their senders, into `inbox`; what it has no room for is dropped."""
        self._inbox = inbox

    def unsubscribe(self) -> None:
        """Drop messages from now on."""
        self._inbox = None

    def peer_exited(self, key: str) -> None:
        """Tell the endpoint that the process behind `key` has ended."""
        if self._hub is not None:
            self._hub.peer_exited(key)

    def _opened(self) -> Hub:
        if self._hub is None:
            raise RuntimeError("the endpoint is not open")
        return self._hub

    def _encode(self, message: Any) -> bytes:
        payload = codec.encode(message)
        if len(payload) > self._limits.frame:
            raise FrameTooLarge(len(payload), self._limits.frame)
        return payload

    def _post_ask(self, key: str, ask_id: int, payload: bytes) -> bool:
        if self._hub is None:
            raise ActorGone(key)
        return self._hub.post(key, ASK, ask_id, payload, None)

    # -- what the hub tells ----------------------------------------------------------

    def frame_received(self, sender: str, frame: Frame) -> None:
        if frame.kind >= ANSWER:
            self._asks.answered(sender, frame)
        elif frame.kind == ASK:
            self._opened().post(
                sender, REFUSAL, frame.ask_id, encode_refusal(AskRefused("unknown", "an endpoint")), None
            )
        elif self._inbox is not None:
            self._deliver(self._inbox, sender, frame)

    def _deliver(self, inbox: asyncio.Queue[tuple[Any, Address]], sender: str, frame: Frame) -> None:
        try:
            message = codec.decode(frame.payload)
        except Exception:
            logger.exception("a message to an endpoint cannot be read and is dropped")
            return
        try:
            inbox.put_nowait((message, Address(sender)))
        except asyncio.QueueFull:
            logger.warning("a message to an endpoint was dropped: its inbox is full")

    def read_ended(self) -> None:
        """Frames are handled as they come."""

    def peer_lost(self, key: str) -> None:
        self._asks.peer_lost(key)

    def delivered(self, tokens: Iterable[Any]) -> None:
        """Nobody waits for it."""

    def undelivered(self, token: Any) -> None:
        """Nobody waits for it."""
