"""Owns something with connections that can be replaced while it is used: the old one is closed by its last user."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Replaceable"]


class _Closes(Protocol):
    async def close(self) -> None: ...


T = TypeVar("T", bound=_Closes)


class Replaceable(Generic[T]):
    """The one that is in use now, and those that still have users.

    Args:
        current: the first one.
        spawn: starts a task of the actor.
    """

    def __init__(self, current: T, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self.current = current
        self._spawn = spawn
        self._users: dict[int, int] = {}
        self._replaced: dict[int, T] = {}

    @contextmanager
    def used(self) -> Iterator[T]:
        """The current one, that stays open within the block."""
        mine = self.current
        key = id(mine)
        self._users[key] = self._users.get(key, 0) + 1
        try:
            yield mine
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                self._close_if_unused(key)

    def replace(self, other: T) -> None:
        """Use another one from now on."""
        key = id(self.current)
        self._replaced[key] = self.current
        self.current = other
        self._close_if_unused(key)

    async def close(self) -> None:
        """Close all of them."""
        for each in (self.current, *self._replaced.values()):
            await each.close()
        self._replaced.clear()

    def _close_if_unused(self, key: int) -> None:
        if key not in self._users and (old := self._replaced.pop(key, None)) is not None:
            self._spawn(old.close())
