"""Decides what somebody who watches a session sees of it: every event once and in order, through deaths and restarts.

For channels whose readers take one event after the other. No socket, no clock, no actor: times come in as arguments,
messages to the router leave through `route`, and a reader is woken through its watch's `wake`.
"""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors.channels.backlog import Backlog
from openclaw_actors.channels.follow import Follow, Missed, PageResult
from openclaw_actors.messages import (
    Event,
    Message,
    Notice,
    Replay,
    ReplayPage,
    SessionEvents,
    SessionLost,
    Unfollow,
)

__all__ = ["Watch", "Watches"]

_ASK_AGAIN_S = 5.0
_RESTARTED = "The conversation's process was replaced; it goes on where it was."


class Watch(Backlog[Event]):
    """One reader's view of one session.

    Args:
        id: unique among the channel's watches.
        session: the session's key.
        wake: called when there is something to read, or the watch has ended.
    """

    __slots__ = ("follow", "id", "live", "session")

    def __init__(self, id: str, session: str, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.id = id
        self.session = session
        self.follow = Follow(session)
        self.live = False
        """All of the past that was asked for has come."""


class Watches:
    """All who watch a session in one channel.

    Args:
        channel: name of the channel's service, to which events and pages come.
        route: sends to the router.
    """

    def __init__(self, channel: str, route: Callable[[Message], None]) -> None:
        self._channel = channel
        self._route = route
        self._watched: dict[str, dict[str, Watch]] = {}
        self._lost: dict[str, int] = {}
        """Of watched sessions: the newest incarnation known to be dead; what it still says counts for nothing."""
        self._asked: dict[str, tuple[Watch, float]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._watched.values()))

    def __contains__(self, session: str) -> bool:
        return session in self._watched

    def begin(self, watch: Watch, after_seq: int | None, now: float) -> None:
        """Watch a session.

        Args:
            after_seq: see the durable events after this number, too; None: the running attempt and what comes.
            now: monotonic seconds.
        """
        self._watched.setdefault(watch.session, {})[watch.id] = watch
        self._ask(watch, after_seq, now)

    def end(self, watch: Watch) -> None:
        """Watch it no more; the session's work goes on."""
        self._asked.pop(watch.id, None)
        watching = self._watched.get(watch.session, {})
        if watching.pop(watch.id, None) is not None and not watching:
            del self._watched[watch.session]
            self._lost.pop(watch.session, None)
            self.unfollow(watch.session)

    def unfollow(self, session: str) -> None:
        """Tell a session that nobody here watches it, if so."""
        if session not in self._watched:
            self._route(Unfollow(session=session, channel=self._channel))

    # From sessions and the router

    def events(self, message: SessionEvents, now: float) -> None:
        """A session says what happened."""
        if message.incarnation <= self._lost.get(message.session, -1):
            return
        for watch in tuple(self._watched.get(message.session, {}).values()):
            for event in message.events:
                taken = watch.follow.take(event)
                if isinstance(taken, Missed):
                    self._ask(watch, watch.follow.last_seq, now)
                elif taken is not None:
                    watch.put(taken)

    def page(self, message: ReplayPage, now: float) -> None:
        """A session answers a replay."""
        watch = self._watched.get(message.session, {}).get(message.connection)
        if watch is None or message.incarnation <= self._lost.get(message.session, -1):
            return
        follow = watch.follow
        only_from_now = follow.asked_after is None
        result, events = follow.take_page(message)
        if result is PageResult.STALE:
            return
        for event in events:
            watch.put(event)
        if result is PageResult.MORE:
            if message.events:  # else the next ask comes with the deadline, not in a circle
                self._ask(watch, follow.asked_after, now)
        elif only_from_now and follow.last_seq is not None and follow.last_seq < message.last_seq:
            self._ask(watch, follow.last_seq, now)
        else:
            self._asked.pop(watch.id, None)
            watch.live = True
            watch.wake()

    def lost(self, message: SessionLost, now: float) -> None:
        """A session's process is dead; its next one is asked for what is missing."""
        watching = self._watched.get(message.session)
        if watching is None:
            return
        self._lost[message.session] = max(self._lost.get(message.session, -1), message.incarnation)
        for watch in tuple(watching.values()):
            watch.put(Notice(code="session_restarted", text=message.reason or _RESTARTED))
            self._ask_again(watch, now)

    def router_replaced(self, now: float) -> None:
        """A router that knows nothing of us serves now."""
        for watching in tuple(self._watched.values()):
            for watch in tuple(watching.values()):
                self._ask_again(watch, now)

    def tick(self, now: float) -> None:
        """Ask again where no answer came in time."""
        for watch, at in tuple(self._asked.values()):
            if at <= now:
                self._ask_again(watch, now)

    # Inside

    def _ask_again(self, watch: Watch, now: float) -> None:
        follow = watch.follow
        self._ask(watch, follow.asked_after if follow.replaying else follow.last_seq, now)

    def _ask(self, watch: Watch, after_seq: int | None, now: float) -> None:
        watch.follow.ask(after_seq)
        self._asked[watch.id] = (watch, now + _ASK_AGAIN_S)
        self._route(
            Replay(session=watch.session, channel=self._channel, connection=watch.id, after_seq=after_seq)
        )
