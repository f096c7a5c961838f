"""Owns the replays that run: asked again when no answer comes, the next page only when the last one is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from openclaw_actors.channels.follow import Follow
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.messages import Replay

__all__ = ["Replays"]

_MAX_PAGES_AT_ONCE = 2


class Replays:
    """Asks sessions for what connections miss.

    Of the past a connection is sent two pages at a time, whatever it follows: somebody who resumes a hundred sessions
    at once is no slow reader.

    Args:
        channel: name of the channel's service, for the answers.
        route: sends to the router.
        page_sent: has `drained` called once a connection has taken what it was sent.
        answer_timeout_s: after which an unanswered page is asked for again.
    """

    def __init__(
        self,
        channel: str,
        route: Callable[[Replay], None],
        page_sent: Callable[[str], None],
        answer_timeout_s: float = 5.0,
    ) -> None:
        self._channel = channel
        self._route = route
        self._page_sent = page_sent
        self._answer_timeout_s = answer_timeout_s
        self._asked: dict[tuple[str, str], tuple[Follow, float]] = {}
        self._paged: set[tuple[str, str]] = set()
        """Of those asked, the ones that ask for the past."""
        self._pages: Counter[str] = Counter()
        self._waiting: dict[str, dict[str, Follow]] = {}

    def __len__(self) -> int:
        return len(self._asked) + sum(len(waiting) for waiting in self._waiting.values())

    def ask(self, connection: Connection, follow: Follow, after_seq: int | None, now: float) -> None:
        """Ask for everything after a number; None: only for what runs now, and what comes."""
        self._answered(connection.id, follow)
        follow.ask(after_seq)
        self._send_or_wait(connection.id, follow, now)

    def ask_again(self, connection: Connection, follow: Follow, now: float) -> None:
        """Ask for what is missing, wherever the connection stands: its session, or the router, was replaced."""
        self.ask(connection, follow, follow.asked_after if follow.replaying else follow.last_seq, now)

    def ask_when_drained(self, connection: Connection, follow: Follow) -> None:
        """Ask for the next page once the connection has taken this one."""
        self._answered(connection.id, follow)
        self._waiting.setdefault(connection.id, {})[follow.session] = follow
        self._page_sent(connection.id)

    def drained(self, connection: Connection, now: float) -> None:
        """The connection has taken all that it was sent."""
        waiting = self._waiting.get(connection.id, {})
        while waiting and self._pages[connection.id] < _MAX_PAGES_AT_ONCE:
            follow = waiting.pop(next(iter(waiting)))
            if follow.replaying:
                self._send(connection.id, follow, now)
        if not waiting:
            self._waiting.pop(connection.id, None)

    def done(self, connection: Connection, follow: Follow) -> None:
        """The last page came."""
        self._answered(connection.id, follow)
        if connection.id in self._waiting:
            self._page_sent(connection.id)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._waiting.pop(connection.id, None)
        self._pages.pop(connection.id, None)
        for session in connection.follows:
            self._asked.pop((connection.id, session), None)
            self._paged.discard((connection.id, session))

    def tick(self, now: float) -> None:
        """Ask again where no answer came in time; a session that does not answer lets the others go first."""
        late = [(key, follow) for key, (follow, at) in self._asked.items() if at <= now]
        for (connection, session), follow in late:
            waiting = self._waiting.get(connection)
            if waiting is None or follow.asked_after is None:
                self._send(connection, follow, now)
                continue
            self._answered(connection, follow)
            waiting[session] = follow
            self._page_sent(connection)

    def _send_or_wait(self, connection: str, follow: Follow, now: float) -> None:
        if follow.asked_after is not None and self._pages[connection] >= _MAX_PAGES_AT_ONCE:
            self._waiting.setdefault(connection, {})[follow.session] = follow
        else:
            self._send(connection, follow, now)

    def _send(self, connection: str, follow: Follow, now: float) -> None:
        key = (connection, follow.session)
        if follow.asked_after is not None and key not in self._paged:
            self._paged.add(key)
            self._pages[connection] += 1
        self._asked[key] = (follow, now + self._answer_timeout_s)
        self._route(
            Replay(
                session=follow.session,
                channel=self._channel,
                connection=connection,
                after_seq=follow.asked_after,
            )
        )

    def _answered(self, connection: str, follow: Follow) -> None:
        """Nothing is asked of this session any more."""
        waiting = self._waiting.get(connection)
        if waiting is not None and waiting.pop(follow.session, None) is not None and not waiting:
            del self._waiting[connection]
        key = (connection, follow.session)
        self._asked.pop(key, None)
        if key in self._paged:
            self._paged.remove(key)
            self._pages[connection] -= 1
