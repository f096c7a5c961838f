"""The tree of actors for who follows it: supervisor and router tell what changes, while somebody wants to know."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Plain, Value

__all__ = [
    "Activity",
    "ActorView",
    "FollowTree",
    "GoneActor",
    "SessionActivity",
    "TreeChanges",
    "TreeHealth",
]

Activity: TypeAlias = Literal["idle", "busy", "waiting"]
"""`waiting`: for a person who lets a tool run or not."""


class ActorView(Value):
    """One actor as it is now. Nothing in it changes by the mere passing of time."""

    name: str
    kind: Literal["supervisor", "service", "session"]
    state: str
    """As in `StatusNode`, and `waiting`: for a place under `sessions.max_live`."""
    pid: int | None
    incarnation: int
    restarts: int
    mailbox_depth: int
    since: float
    """Since when this one is known, or, of a service, since when its process is there. Unix time, as all times here."""
    activity: Activity = "idle"
    doing: str = "idle"
    """A few words without user text."""
    doing_since: float | None = None
    """When the running turn began."""
    silent_since: float | None = None
    """It was pinged then and has not answered since."""
    reason: str = ""
    """Why its process before this one ended, or why it has none."""


class GoneActor(Value):
    """An actor that has no process any more, and is to have none."""

    name: str
    why: str
    """`passivated` or `ended`."""


class TreeHealth(Value):
    """How the gateway is."""

    ready: bool
    draining: bool
    problems: tuple[str, ...]


class FollowTree(Plain):
    """HTTP channel -> supervisor and router: tell me what changes from now on, for a while; beginning with all of it.

    Sent again before the time is over, it makes the time longer. Nobody waits for an answer: `TreeChanges` come as
    there are any.
    """

    lease_s: float
    """How long, in seconds, from its arrival; 0: no longer."""
    fresh: bool = False
    """The asker knows nothing yet."""


class TreeChanges(Plain):
    """supervisor or router -> HTTP channel: these actors are otherwise now."""

    source: Literal["supervisor", "router"]
    full: bool
    """There are these actors and no others."""
    actors: tuple[ActorView, ...]
    gone: tuple[GoneActor, ...] = ()
    health: TreeHealth | None = None
    """From the supervisor, where it has changed or `full`."""


class SessionActivity(Plain):
    """session -> router: what the session does now. Only while somebody follows the tree."""

    session: str
    incarnation: int
    activity: Activity
    doing: str
    since: float | None
    """When the running turn began; None: none runs."""
    mailbox_depth: int
