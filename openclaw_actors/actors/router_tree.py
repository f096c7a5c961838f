"""What the router tells of its sessions while somebody follows the tree of actors."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from openclaw_actors.actors.router_view import node_of, shows, state_of
from openclaw_actors.actors.tree_feed import TreeFeed, wall_time
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import Entry, Phase, PingSession, RouterEffect
from openclaw_actors.messages import Address, Children, FollowTree, GetChildren, SessionActivity
from openclaw_actors.messages.tree import ActorView

__all__ = ["SessionTree", "feed_of_sessions", "note_exit", "view_of"]

_SILENT_S = 1.0
"""A sign of life that takes longer is worth telling."""


class _Router(Protocol):
    _core: RouterCore
    _feed: TreeFeed

    def _carry_out(self, effects: Iterable[RouterEffect]) -> None: ...


class SessionTree:
    """Handlers of the router."""

    @handles(GetChildren)
    def children_nodes(self: _Router, message: GetChildren, sender: Address) -> Children:
        """The sessions, the last active first."""
        now = time.monotonic()
        entries = sorted(self._core.entries.values(), key=lambda entry: -entry.active_at)
        return Children(
            nodes=tuple(node_of(entry, now) for entry in entries if shows(entry)),
        )

    @handles(FollowTree)
    def follow_tree(self: _Router, message: FollowTree, sender: Address) -> None:
        """The HTTP channel wants to know what becomes of the sessions."""
        self._feed.follow(message, sender)

    @handles(SessionActivity)
    def session_activity(self: _Router, message: SessionActivity, sender: Address) -> None:
        """A session does something else."""
        entry = self._core.entries.get(message.session)
        if entry is not None and message.incarnation == entry.incarnation:
            entry.activity = message
            self._feed.touch()


def feed_of_sessions(router: _Router) -> TreeFeed:
    """The feed of a router; when somebody begins to follow, every session is asked what it does, once."""

    def begins() -> None:
        live = [entry for entry in router._core.entries.values() if entry.phase is Phase.LIVE]
        for entry in live:
            entry.activity = None
        router._carry_out([PingSession(entry.key) for entry in live])

    def views() -> Iterator[ActorView]:
        now = time.monotonic()
        return (view_of(entry, now) for entry in router._core.entries.values() if shows(entry))

    return TreeFeed(cast(AsyncActor, router), "router", views, begins=begins, touched=True)


def note_exit(entry: Entry, feed: TreeFeed) -> None:
    """A session's process is gone."""
    entry.activity = None
    if entry.phase is Phase.PASSIVATING:
        entry.last_death = ""
        feed.left(entry.key, "passivated")
    else:
        entry.last_death = entry.kill_reason or "its process ended unexpectedly"


def view_of(entry: Entry, now: float) -> ActorView:
    """A session as it is told."""
    told = entry.activity if entry.pid is not None else None
    asleep = entry.wakes_at is not None  # for a person who has to decide
    has_words = entry.pid is not None or asleep
    doing = told.doing if told is not None else entry.doing if has_words else "nothing"
    idle = doing in ("idle", "nothing")
    waits = told.mailbox_depth if told is not None else entry.mailbox_depth
    silent = entry.ping_sent_at is not None and now - entry.ping_sent_at > _SILENT_S
    return ActorView(
        name=entry.key,
        kind="session",
        state=state_of(entry),
        pid=entry.pid,
        incarnation=entry.incarnation,
        restarts=entry.policy.total,
        mailbox_depth=waits + len(entry.unsettled),
        since=wall_time(entry.created_at),
        activity=told.activity if told is not None else "waiting" if asleep else "idle" if idle else "busy",
        doing=doing,
        doing_since=told.since if told is not None else None,
        silent_since=wall_time(entry.ping_sent_at) if silent and entry.ping_sent_at is not None else None,
        reason=entry.last_death,
    )
