"""Decides who is told what a session said; each event is encoded once for all who get it."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors.channels.follow import Follow, Missed, PageResult
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.outputs import Outputs
from openclaw_actors.channels.websocket.replays import Replays
from openclaw_actors.channels.websocket.subscriptions import Followed, Subscriptions
from openclaw_actors.channels.websocket.wire import encode_event
from openclaw_actors.messages import Event, Notice, ReplayPage, SessionEvents, SessionLost

__all__ = ["Fanout"]

_RESTARTED = "The conversation's process was replaced; it goes on where it was."


class Fanout:
    """Takes what sessions and the router say about sessions, and gives it to who follows them.

    Args:
        outputs: takes the frames.
        subscriptions: who follows what.
        replays: where what is missing is asked for.
        replayed: told of each connection that has all of a session's past.
    """

    def __init__(
        self,
        outputs: Outputs,
        subscriptions: Subscriptions,
        replays: Replays,
        replayed: Callable[[Connection, Follow], None],
    ) -> None:
        self._outputs = outputs
        self._subscriptions = subscriptions
        self._replays = replays
        self._replayed = replayed

    def events(self, message: SessionEvents, now: float) -> None:
        """A session says what happened, in order."""
        followed = self._subscriptions.get(message.session)
        if followed is None or message.incarnation <= followed.lost:
            return
        shared: list[bytes | None] = [None] * len(message.events)
        for connection in tuple(followed.connections.values()):
            follow = connection.follows[message.session]
            for index, event in enumerate(message.events):
                taken = follow.take(event)
                if taken is None:
                    continue
                if isinstance(taken, Missed):
                    self._replays.ask(connection, follow, follow.last_seq, now)
                    continue
                if connection.answers is not None:
                    connection.answers.event(taken)
                    continue
                if taken is not event:
                    self._outputs.frame(connection.id, encode_event(taken, followed.suffix))
                    continue
                frame = shared[index]
                if frame is None:
                    frame = shared[index] = encode_event(event, followed.suffix)
                self._outputs.frame(connection.id, frame)

    def page(self, message: ReplayPage, now: float) -> None:
        """A session answers a replay."""
        followed = self._subscriptions.get(message.session)
        if followed is None or message.incarnation <= followed.lost:
            return
        connection = followed.connections.get(message.connection)
        if connection is None:
            return
        follow = connection.follows[message.session]
        from_now_on = follow.asked_after is None
        result, events = follow.take_page(message)
        if result is PageResult.STALE:
            return
        self._give(connection, followed, events)
        if result is PageResult.MORE:
            self._more(connection, follow, empty=not message.events)
        elif from_now_on and follow.last_seq is not None and follow.last_seq < message.last_seq:
            self._replays.ask(connection, follow, follow.last_seq, now)
        else:
            self._replays.done(connection, follow)
            self._replayed(connection, follow)

    def lost(self, message: SessionLost, now: float) -> None:
        """A session's process is dead; the next one answers the replays that are asked for now."""
        followed = self._subscriptions.get(message.session)
        if followed is None:
            return
        followed.lost = max(followed.lost, message.incarnation)
        notice = Notice(code="session_restarted", text=message.reason or _RESTARTED)
        for connection in tuple(followed.connections.values()):
            self._give(connection, followed, [notice])
            self._replays.ask_again(connection, connection.follows[message.session], now)

    def _give(self, connection: Connection, followed: Followed, events: list[Event]) -> None:
        for event in events:
            if connection.answers is not None:
                connection.answers.event(event)
            else:
                self._outputs.frame(connection.id, encode_event(event, followed.suffix))

    def _more(self, connection: Connection, follow: Follow, *, empty: bool) -> None:
        if empty:  # nothing and yet not complete: the next ask comes with the deadline, not in a circle
            return
        self._replays.ask_when_drained(connection, follow)
