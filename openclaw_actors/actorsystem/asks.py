"""Owns the asks that wait for an answer: their numbers, deadlines and ends."""

from __future__ import annotations

__all__ = ["Asks", "encode_refusal"]

import asyncio
import itertools
import logging
import pickle
from collections.abc import Callable
from typing import Any

from openclaw_actors.actorsystem import codec
from openclaw_actors.actorsystem.framing import Frame, Kind
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout, QueueFull

logger = logging.getLogger(__name__)


def encode_refusal(error: AskRefused) -> bytes:
    """Pickle a refusal; one that cannot be pickled travels as a plain `AskRefused` with the same code and text."""
    try:
        data = pickle.dumps(error, 5)
        pickle.loads(data)
    except Exception:
        logger.warning("a refusal of type %s cannot be pickled", type(error).__name__)
        return pickle.dumps(AskRefused(error.code, error.text), 5)
    return data


class Asks:
    """The asks of one process that wait for an answer.

    Args:
        post: sends an ask: (key, ask id, payload) to "was it queued".
    """

    def __init__(self, post: Callable[[str, int, bytes], bool]) -> None:
        self._post = post
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._by_peer: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def peers(self) -> list[str]:
        """Return the keys of all that were asked and have not answered."""
        return list(self._by_peer)

    async def ask(self, key: str, payload: bytes, timeout_s: float) -> Any:
        """Send an ask and wait for its answer.

        Raises:
            QueueFull: the peer's queue is full, nothing was sent.
            AskTimeout: no answer within `timeout_s` seconds; a later one is dropped.
            ActorGone: the peer is dead or died before it answered.
            AskRefused: the peer said no.
        """
        loop = asyncio.get_running_loop()
        ask_id = next(self._numbers)
        if not self._post(key, ask_id, payload):
            raise QueueFull(key)
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting[ask_id] = (key, future)
        self._by_peer.setdefault(key, set()).add(ask_id)
        timer = loop.call_later(timeout_s, _expire, future, key, timeout_s)
        try:
            return await future
        finally:
            timer.cancel()
            self._forget(ask_id, key)

    def _forget(self, ask_id: int, key: str) -> None:
        self._waiting.pop(ask_id, None)
        asked = self._by_peer.get(key)
        if asked is not None:
            asked.discard(ask_id)
            if not asked:
                del self._by_peer[key]

    def answered(self, sender: str, frame: Frame) -> None:
        """Take an answer or a refusal. One that nobody waits for is dropped unread."""
        key, future = self._waiting.get(frame.ask_id, (None, None))
        if future is None or key != sender or future.done():
            return
        try:
            value = codec.decode(frame.payload)
        except Exception as error:
            logger.exception("an answer cannot be read")
            future.set_exception(
                AskRefused("unreadable", f"the answer cannot be read: {type(error).__name__}")
            )
            return
        if frame.kind == Kind.REFUSAL:
            future.set_exception(value if isinstance(value, AskRefused) else AskRefused("refused"))
        else:
            future.set_result(value)

    def peer_lost(self, key: str) -> None:
        """End all asks of a peer that is gone with `ActorGone`."""
        for ask_id in self._by_peer.pop(key, ()):
            _, future = self._waiting.pop(ask_id)
            if not future.done():
                future.set_exception(ActorGone(key))


def _expire(future: asyncio.Future[Any], key: str, timeout_s: float) -> None:
    if not future.done():
        future.set_exception(AskTimeout(key, timeout_s))
