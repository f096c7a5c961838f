"""Decides what followers of the gateway hear: the tree of actors as it is, then what changes in it, as it changes.

No socket, no clock, no actor: messages of supervisor and router come in, events for `GET /api/events` go out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from openclaw_actors.messages.base import Value
from openclaw_actors.messages.tree import ActorView, GoneActor, TreeChanges, TreeHealth

__all__ = ["Change", "LiveTree", "change_of", "sse"]

_ROUTER = "router"


class Change(Value):
    """One actor that is otherwise now."""

    change: str
    """What happened to it: see `change_of`."""
    actor: ActorView


def sse(name: str, data: Any) -> bytes:
    """An event as it is sent; JSON has no line breaks of its own."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


def change_of(before: ActorView | None, after: ActorView) -> str:
    """What happened to an actor, in one word.

    `started` (it is new), `ready`, `died`, `restarted` (another process is there already), `failed`, `passivating`,
    `stopped`, `silent`, `answers`, `activity` (it does something else), or `changed`.
    """
    if before is None:
        return "ready" if after.state == "running" else "started"
    if after.state != before.state and after.state in ("failed", "passivating", "stopped"):
        return after.state
    if after.pid != before.pid:
        if after.pid is None or after.state == "restarting":
            return "died" if before.pid is not None else "changed"
        if before.pid is not None:
            return "restarted"
        return "ready" if after.state == "running" else "started"
    if after.state != before.state:
        return "ready" if after.state == "running" and before.state == "starting" else "changed"
    if (after.silent_since is None) != (before.silent_since is None):
        return "answers" if after.silent_since is None else "silent"
    if (after.activity, after.doing) != (before.activity, before.doing):
        return "activity"
    return "changed"


class LiveTree:
    """The tree as supervisor and router tell it."""

    def __init__(self) -> None:
        self.health: TreeHealth | None = None
        self._parts: dict[str, dict[str, ActorView]] = {}

    @property
    def complete(self) -> bool:
        """All of it is known: what the supervisor has, and the sessions, unless there is no router now."""
        services = self._parts.get("supervisor")
        if services is None:
            return False
        router = services.get(_ROUTER)
        return _ROUTER in self._parts or router is None or router.pid is None

    @property
    def actors(self) -> tuple[ActorView, ...]:
        """All that are known, services first."""
        parts = sorted(self._parts.items(), key=lambda part: part[0] == _ROUTER)
        return tuple(actor for _, part in parts for actor in part.values())

    def pids(self) -> dict[str, int]:
        """The processes of all actors, by their names."""
        return {actor.name: actor.pid for actor in self.actors if actor.pid is not None}

    def snapshot(self, at: float, memory: dict[str, int]) -> bytes:
        """The event that everything begins with.

        Args:
            at: Unix time.
            memory: resident bytes by actor, as far as they are known.
        """
        data = {"at": at, "actors": self.actors, "health": self.health, "memory": memory}
        return sse("snapshot", data)

    def take(self, changes: TreeChanges, at: float) -> list[bytes]:
        """What supervisor or router tell, as events for who knew the tree before."""
        before = self._parts.get(changes.source, {})
        after = {actor.name: actor for actor in changes.actors}
        gone = changes.gone
        if changes.full:
            gone = tuple(GoneActor(name=name, why="ended") for name in sorted(before.keys() - after.keys()))
            self._parts[changes.source] = after
        else:
            left = before.keys() - {each.name for each in gone}
            self._parts[changes.source] = {name: before[name] for name in before if name in left} | after
        changed = [
            Change(change=change_of(before.get(name), actor), actor=actor)
            for name, actor in after.items()
            if before.get(name) != actor
        ]
        events = self._actors(changed, gone, at)
        if changes.source == "supervisor":
            events += self._without_router(at) + self._health(changes.health)
        return events

    def _without_router(self, at: float) -> list[bytes]:
        """A router's sessions end with it, and its next incarnation tells which there are."""
        router = self._parts["supervisor"].get(_ROUTER)
        if router is None or router.pid is not None or _ROUTER not in self._parts:
            return []
        lost = self._parts.pop(_ROUTER)
        return self._actors((), [GoneActor(name=name, why="ended") for name in lost], at)

    def _health(self, health: TreeHealth | None) -> list[bytes]:
        if health is None or health == self.health:
            return []
        self.health = health
        return [sse("health", health)]

    def _actors(self, changed: Iterable[Change], gone: Iterable[GoneActor], at: float) -> list[bytes]:
        changed, gone = tuple(changed), tuple(gone)
        if not changed and not gone:
            return []
        return [sse("actors", {"at": at, "changed": changed, "gone": gone})]
