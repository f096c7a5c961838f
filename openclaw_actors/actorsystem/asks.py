"""Owns the asks that wait for an answer: their numbers, deadlines and ends."""

from __future__ import annotations

__all__ = ["Asks", "Done", "encode_refusal"]

import asyncio
import itertools
import logging
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from openclaw_actors.actorsystem import codec
from openclaw_actors.actorsystem.framing import REFUSAL, Frame
from openclaw_actors.errors import ActorError, ActorGone, AskRefused, AskTimeout, QueueFull

logger = logging.getLogger(__name__)

Done: TypeAlias = Callable[[Any, ActorError | None], None]
_Waiting: TypeAlias = tuple[str, Done, asyncio.TimerHandle | None, float, float]
"""The peer, who is told, the timer, the deadline (of the loop's clock), and how long that was, in seconds."""

_SWEPT_FROM_S = 10.0
_SWEEP_S = 2.0
"""Deadlines of ten seconds and more are looked at this often, so these may be late by that much: a timer for each of
thousands of asks that are answered in a millisecond costs more than the asks."""


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
        self._waiting: dict[int, _Waiting] = {}
        self._by_peer: dict[str, set[int]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

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
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ask_id = self.begin(key, payload, timeout_s, partial(_settle, future))
        try:
            return await future
        finally:
            self._end(ask_id)

    def begin(self, key: str, payload: bytes, timeout_s: float, done: Done) -> int:
        """Send an ask and go on; returns its number.

        Args:
            done: called once with (answer, None), or with (None, what `ask` would raise), in the tick of the loop in
                which the answer comes: without a task and a future an ask costs half.

        Raises:
            QueueFull: the peer's queue is full, nothing was sent.
        """
        ask_id = next(self._numbers)
        if not self._post(key, ask_id, payload):
            raise QueueFull(key)
        loop = asyncio.get_running_loop()
        timer = None
        if timeout_s < _SWEPT_FROM_S:
            timer = loop.call_later(timeout_s, self._expired, ask_id)
        elif self._sweeping is None:
            self._sweeping = loop.call_later(_SWEEP_S, self._sweep, loop)
        self._waiting[ask_id] = (key, done, timer, loop.time() + timeout_s, timeout_s)
        asked = self._by_peer.get(key)
        if asked is None:
            self._by_peer[key] = {ask_id}
        else:
            asked.add(ask_id)
        return ask_id

    def _end(self, ask_id: int) -> _Waiting | None:
        waiting = self._waiting.pop(ask_id, None)
        if waiting is not None:
            key, _, timer, _, _ = waiting
            if timer is not None:
                timer.cancel()
            asked = self._by_peer.get(key)
            if asked is not None:
                asked.discard(ask_id)
                if not asked:
                    del self._by_peer[key]
        return waiting

    def answered(self, sender: str, frame: Frame) -> None:
        """Take an answer or a refusal. One that nobody waits for is dropped unread."""
        waiting = self._waiting.get(frame.ask_id)
        if waiting is None or waiting[0] != sender:
            return
        self._end(frame.ask_id)
        done = waiting[1]
        try:
            value = codec.decode(frame.payload)
        except Exception as error:
            logger.exception("an answer cannot be read")
            done(None, AskRefused("unreadable", f"the answer cannot be read: {type(error).__name__}"))
            return
        if frame.kind == REFUSAL:
            done(None, value if isinstance(value, AskRefused) else AskRefused("refused"))
        else:
            done(value, None)

    def peer_lost(self, key: str) -> None:
        """End all asks of a peer that is gone with `ActorGone`."""
        for ask_id in list(self._by_peer.get(key, ())):
            waiting = self._end(ask_id)
            if waiting is not None:
                waiting[1](None, ActorGone(key))

    def _expired(self, ask_id: int) -> None:
        waiting = self._end(ask_id)
        if waiting is not None:
            waiting[1](None, AskTimeout(waiting[0], waiting[4]))

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """A process in which nothing is asked has no timer either."""
        self._sweeping = None
        now = loop.time()
        for ask_id, (_, _, timer, deadline, _) in list(self._waiting.items()):
            if timer is None and deadline <= now:
                self._expired(ask_id)
        if self._sweeping is None and any(waiting[2] is None for waiting in self._waiting.values()):
            self._sweeping = loop.call_later(_SWEEP_S, self._sweep, loop)


def _settle(future: asyncio.Future[Any], answer: Any, error: ActorError | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)
