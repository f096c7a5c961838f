"""A conversation that nobody hears: the router has it before it forks the first session, so that none warms up."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from openclaw_actors import logs
from openclaw_actors.actors.catalogue import load
from openclaw_actors.actorsystem import Limits
from openclaw_actors.actorsystem.hotcode import code_run_by, lay_together
from openclaw_actors.actorsystem.process import forget_looked_up_names
from openclaw_actors.actorsystem.rehearsal import RehearsalFailed, rehearse
from openclaw_actors.core.conversation import Conversation, encode_state
from openclaw_actors.messages import (
    Address,
    Append,
    Appended,
    Complete,
    Completed,
    Deliver,
    Directory,
    InitSession,
    Message,
    ModelDelta,
    OpenSession,
    Replay,
    ServiceRef,
    SessionEvents,
    SessionOpened,
    TurnDone,
    Usage,
)

__all__ = ["rehearse_sessions"]

logger = logging.getLogger(__name__)

_SESSIONS = 12
"""CPython rewrites a function at its ninth call; what opens a conversation runs once in each."""
_TURNS = 3
_TIMEOUT_S = 2.0
"""For one conversation, which takes some milliseconds."""
_ENOUGH_S = 0.5
"""After so long no other one begins: on a machine that is so busy, people wait for the router already."""
_KEY = "websocket:local:rehearsal"


def rehearse_sessions(settings: bytes, *, run_dir: str, limits: Limits) -> None:
    """Have a few conversations in this process. What goes wrong in them is logged: sessions then warm up themselves.

    Args:
        settings: as sessions get them.
        run_dir: where sockets lie.
        limits: those of a session.
    """
    began = time.monotonic()
    session = load("session")

    def converse() -> None:
        everybody = _Everybody(settings)
        rehearse(session, everybody, run_dir=run_dir, limits=limits, timeout_s=_TIMEOUT_S)

    try:
        with logs.muted(below=logging.CRITICAL):  # what they would tell has not happened
            lay_together(code_run_by(converse))
            forget_looked_up_names()  # but those of what follows
            for _ in range(_SESSIONS):
                if time.monotonic() - began > _ENOUGH_S:
                    break
                converse()
    except RehearsalFailed as failure:
        logger.warning("sessions were not rehearsed, and start more slowly: %s", failure)
    except Exception:
        logger.exception("sessions were not rehearsed, and start more slowly")
    logger.info("rehearsed sessions for %.3f s", time.monotonic() - began)


class _Everybody:
    """The router, the store, the model and the channel of one conversation."""

    def __init__(self, settings: bytes) -> None:
        self.over = False
        self._settings = settings
        self._number = 0
        self._turns = 0

    def first(self, stage: Address) -> InitSession:
        service = ServiceRef(address=stage, incarnation=1, instance="rehearsal")
        names = ("persistence", "model", "router", "websocket")
        return InitSession(
            session=_KEY,
            settings=self._settings,
            directory=Directory(generation=1, services=dict.fromkeys(names, service)),
            followers=frozenset({"websocket"}),
        )

    def begin(self) -> Iterable[Message]:
        return [Replay(session=_KEY, channel="websocket", after_seq=0, connection="c"), self._question()]

    def asked(self, message: Any) -> Message:
        if isinstance(message, OpenSession):
            return SessionOpened(token=1, state=encode_state(Conversation(key=_KEY)))
        assert isinstance(message, Append)
        self._number += len(message.records)
        return Appended(number=self._number)

    def told(self, message: Any) -> Iterable[Message]:
        if isinstance(message, Complete):
            said = ModelDelta(call_id=message.call_id, text="Good ")
            return [said, Completed(call_id=message.call_id, text="Good day.", usage=Usage())]
        if isinstance(message, SessionEvents) and any(isinstance(each, TurnDone) for each in message.events):
            self._turns += 1
            self.over = self._turns == _TURNS
            return [] if self.over else [self._question()]
        return []

    def _question(self) -> Deliver:
        return Deliver(
            session=_KEY,
            delivery_id=f"d{self._turns}",
            message_id=f"m{self._turns}",
            text="Good day?",
            channel="websocket",
            received_at=time.monotonic(),
            correlation_id=f"c{self._turns}",
        )
