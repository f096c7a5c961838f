"""Tells who follows the tree of actors what changes in the part of it that an actor owns.

It costs nothing while nobody follows. While somebody does, what has changed is gathered for a moment and told in one
message; nobody is ever waited for, and a follower that is not heard of any more is told nothing after its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.core.tree import Told
from openclaw_actors.errors import FrameTooLarge
from openclaw_actors.messages import Address, FollowTree, TreeChanges
from openclaw_actors.messages.tree import ActorView, TreeHealth

__all__ = ["TreeFeed", "wall_time"]

_GATHER_S = 0.2
"""What changes within so long is told together."""
_MAX_LEFT = 1_024

_WALL_OFFSET_S = time.time() - time.monotonic()


def wall_time(monotonic: float) -> float:
    """The Unix time of a moment; of one moment it is always the same, also where the wall clock was set since."""
    return round(monotonic + _WALL_OFFSET_S, 3)


class TreeFeed:
    """The part of the tree that one actor owns.

    Args:
        actor: it, in whose name is told.
        views: the actors below it as they are now.
        health: how the gateway is; None: that is another's to tell.
        begins: told when somebody begins to follow.
        touched: whether something may have changed is said by `touch`; else it is looked at each time.
    """

    def __init__(
        self,
        actor: AsyncActor,
        source: Literal["supervisor", "router"],
        views: Callable[[], Iterable[ActorView]],
        *,
        health: Callable[[], TreeHealth] | None = None,
        begins: Callable[[], None] | None = None,
        touched: bool = False,
    ) -> None:
        self._actor = actor
        self._source: Literal["supervisor", "router"] = source
        self._views = views
        self._health = health
        self._begins = begins
        self._follower: Address | None = None
        self._until = 0.0
        self._full = False
        self._touched = False
        self._is_touched = touched
        self._looks = False
        self._told = Told()
        self._told_health: TreeHealth | None = None
        self._left: dict[str, str] = {}

    @property
    def followed(self) -> bool:
        """Whether anybody wants to know."""
        return self._follower is not None

    def follow(self, message: FollowTree, follower: Address) -> None:
        """Somebody follows, goes on following, or does no longer."""
        if message.lease_s <= 0:
            if follower == self._follower:
                self._follower = None
            return
        self._until = time.monotonic() + message.lease_s
        if message.fresh or follower != self._follower:
            self._follower = follower
            self._full = True
            if self._begins is not None:
                self._begins()
            if not self._looks:
                self._looks = True
                self._look()

    def touch(self) -> None:
        """Something may have changed."""
        self._touched = True

    def left(self, name: str, why: str) -> None:
        """An actor will be gone, and this is why."""
        if self.followed and len(self._left) < _MAX_LEFT:
            self._left[name] = why

    def not_taken(self, message: object) -> None:
        """There was no room for what was told: the follower is told everything, later."""
        if isinstance(message, TreeChanges):
            self._full = True

    def _look(self) -> None:
        if self._follower is None or time.monotonic() > self._until:
            self._follower, self._looks = None, False
            return
        if self._full or self._touched or not self._is_touched:
            self._tell(self._follower)
        self._actor.call_later(_GATHER_S, self._look)

    def _tell(self, follower: Address) -> None:
        full, self._full, self._touched = self._full, False, False
        left, self._left = self._left, {}
        health = self._health() if self._health is not None else None
        if full:
            message = TreeChanges(
                source=self._source, full=True, actors=self._told.all(self._views()), health=health
            )
        else:
            changed, gone = self._told.changes(self._views(), left)
            news = health if health != self._told_health else None
            if not changed and not gone and news is None:
                return
            message = TreeChanges(source=self._source, full=False, actors=changed, gone=gone, health=news)
        self._told_health = health
        try:
            self._actor.send(follower, message)
        except FrameTooLarge:
            self._follower = None  # more actors than one message can name: it asks again
