"""Decides what is new about a part of the tree of actors since it was last told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openclaw_actors.messages.tree import ActorView, GoneActor

__all__ = ["Told"]

_ENDED = "ended"


class Told:
    """What somebody was told of some actors."""

    def __init__(self) -> None:
        self._views: dict[str, ActorView] = {}

    def all(self, views: Iterable[ActorView]) -> tuple[ActorView, ...]:
        """Everything, for who knows nothing."""
        self._views = {view.name: view for view in views}
        return tuple(self._views.values())

    def changes(
        self, views: Iterable[ActorView], left: Mapping[str, str]
    ) -> tuple[tuple[ActorView, ...], tuple[GoneActor, ...]]:
        """What differs from what was told before: actors that are new or otherwise, and those that are gone.

        Args:
            left: why actors have left that are gone, by name, where it is known.
        """
        before, self._views = self._views, {view.name: view for view in views}
        changed = tuple(view for name, view in self._views.items() if before.get(name) != view)
        gone = before.keys() - self._views.keys()
        return changed, tuple(GoneActor(name=name, why=left.get(name, _ENDED)) for name in sorted(gone))
