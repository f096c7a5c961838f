"""Knows where the services live now, and asks one through its deaths and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.errors import ActorError, ActorGone, AskRefused, AskTimeout, QueueFull
from openclaw_actors.messages import Address, Directory, Message, ServiceRef

__all__ = ["ServiceDirectory"]

_RETRY_S = 0.5

Answered: TypeAlias = Callable[[Any, AskRefused | None], None]


class ServiceDirectory:
    """The newest directory of addresses that an actor has seen."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._changed = asyncio.Event()

    def update(self, directory: Directory) -> set[str]:
        """Takes over a newer directory; returns the names of the services that were replaced or are new."""
        if directory.generation <= self._directory.generation:
            return set()
        known, self._directory = self._directory.services, directory
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return {name for name, ref in directory.services.items() if _life(known.get(name)) != _life(ref)}

    def port(self, name: str) -> int | None:
        """Where a channel listens; None while that is not known."""
        ref = self.find(name)
        port = "" if ref is None else ref.bound.rpartition(":")[2]
        return int(port) if port.isdigit() else None

    @property
    def current(self) -> Directory:
        """The directory itself, to pass on."""
        return self._directory

    def find(self, name: str) -> ServiceRef | None:
        """Where a service lives; None before its first incarnation."""
        return self._directory.services.get(name)

    def address(self, name: str) -> Address | None:
        """The service's address; None before its first incarnation."""
        ref = self.find(name)
        return ref.address if ref is not None else None

    def incarnation(self, name: str) -> int:
        """The service's incarnation; 0 before its first."""
        ref = self.find(name)
        return ref.incarnation if ref is not None else 0

    def instances(self) -> frozenset[str]:
        """The instances of all services that live now."""
        return frozenset(ref.instance for ref in self._directory.services.values())

    def ask_then(
        self, actor: AsyncActor, name: str, message: Message, done: Answered, *, timeout_s: float
    ) -> None:
        """Does as `ask`, and calls `done(answer, refusal)`, without a task while all goes well.

        Args:
            done: takes the answer and None, or None and the refusal.
        """

        def first(answer: Any, error: ActorError | None) -> None:
            if error is None or isinstance(error, AskRefused):
                done(answer, error)
            else:
                again()

        def again() -> None:
            actor.spawn(self._ask_again(actor, name, message, done, timeout_s), name=f"ask {name} again")

        address = self.address(name)
        if address is None:
            again()
            return
        try:
            actor.ask_then(address, message, first, timeout_s=timeout_s)
        except QueueFull:
            again()

    async def _ask_again(
        self, actor: AsyncActor, name: str, message: Message, done: Answered, timeout_s: float
    ) -> None:
        try:
            answer = await self.ask(actor, name, message, timeout_s=timeout_s)
        except AskRefused as refusal:
            done(None, refusal)
        else:
            done(answer, None)

    async def ask(self, actor: AsyncActor, name: str, message: Message, *, timeout_s: float) -> Any:
        """Asks a service until it answers or refuses, its next incarnations included.

        Ask so only what a service may be asked twice.

        Args:
            actor: the actor that asks; its end ends the asking.
            timeout_s: how long to wait for one answer, in seconds.

        Raises:
            AskRefused: the service refused.
        """
        while True:
            changed = self._changed
            address = self.address(name)
            if address is not None:
                try:
                    return await actor.ask(address, message, timeout_s=timeout_s)
                except (ActorGone, AskTimeout, QueueFull):
                    pass  # asked again below, of whoever lives then
            try:
                async with asyncio.timeout(_RETRY_S):
                    await changed.wait()
            except TimeoutError:
                continue


def _life(ref: ServiceRef | None) -> tuple[Address, int, str] | None:
    """What tells one life of a service from the next; where it listens is learnt during it."""
    return None if ref is None else (ref.address, ref.incarnation, ref.instance)
