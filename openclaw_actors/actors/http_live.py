"""Serves who follows the gateway: asks supervisor and router to tell what changes, samples numbers, and passes it on.

Everything rests while nobody follows. A follower that does not take what it is sent costs itself only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable

from openclaw_actors.actors.board import FOLLOWERS, installed
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.channels.backlog import Backlog
from openclaw_actors.channels.http.live import LiveTree, sse
from openclaw_actors.config.sections import HttpConfig
from openclaw_actors.core.samples import sample_of
from openclaw_actors.errors import AskRefused, FrameTooLarge
from openclaw_actors.messages import Address, FollowTree, Message, TreeChanges

__all__ = ["LiveFeed"]

logger = logging.getLogger(__name__)

_LEASE_S = 15.0
_RENEW_S = 5.0
_SAMPLE_S = 1.0
_MEMORY_S = 5.0
_AT_ONCE = 64
"""Processes whose memory is read before anything else gets its turn."""
_DELTA_BYTES = 262_144
"""Memory that has changed by less is not told again."""


class LiveFeed:
    """All who follow the gateway over this channel.

    Args:
        actor: the channel.
        supervisor: tells of services and health.
        directory: knows where the router is.
        limits: the configuration's section.
    """

    def __init__(
        self, actor: AsyncActor, supervisor: Address, directory: ServiceDirectory, limits: HttpConfig
    ) -> None:
        self._actor = actor
        self._supervisor = supervisor
        self._directory = directory
        self._max_followers = limits.max_event_followers
        self._buffer_bytes = limits.event_buffer_bytes
        self._followers: dict[Backlog[bytes], asyncio.Event] = {}
        self._new: set[Backlog[bytes]] = set()
        """Those that have not been told the tree yet."""
        self._tree = LiveTree()
        self._memory: dict[str, int] = {}
        self._work: list[asyncio.Task[None]] = []
        self._ended = ""
        self._count(0)

    def __len__(self) -> int:
        """How many follow."""
        return len(self._followers)

    # Followers

    async def follow(self) -> AsyncGenerator[bytes]:
        """The events for one more follower; the first is empty, and with it it follows.

        Raises:
            AskRefused: `too_many`: as many as may be follow already; `unavailable`: the channel ends.
        """
        if self._ended:
            raise AskRefused("unavailable", "the channel ends")
        if len(self._followers) >= self._max_followers:
            raise AskRefused(
                "too_many",
                f"{self._max_followers} clients follow already, and `http.max_event_followers` allows no more",
            )
        wake = asyncio.Event()
        backlog: Backlog[bytes] = Backlog(wake.set, max_bytes=self._buffer_bytes)
        self._followers[backlog] = wake
        self._new.add(backlog)
        self._count(len(self._followers))
        if len(self._followers) == 1:
            self._begin()
        self._greet()
        try:
            yield b""
            while not self._ended and not backlog.cut_off:
                await wake.wait()
                wake.clear()
                while len(backlog):
                    yield backlog.pop()
            if self._ended:
                yield sse("dropped", {"reason": "shutdown", "text": self._ended})
            else:
                logger.info("a follower of /api/events is too far behind and is cut off; it may come again")
                yield sse("dropped", {"reason": "slow", "text": _SLOW})
        finally:
            self._leave(backlog)

    def _leave(self, backlog: Backlog[bytes]) -> None:
        self._followers.pop(backlog, None)
        self._new.discard(backlog)
        self._count(len(self._followers))
        if not self._followers:
            self._rest()

    def shut_down(self, reason: str = "The channel ends.") -> None:
        """End every stream, with the reason."""
        self._ended = reason
        for wake in self._followers.values():
            wake.set()

    # What is told

    def take(self, message: TreeChanges, sender: Address) -> None:
        """Supervisor or router tell what has changed; one that has been replaced has nothing to tell any more."""
        known = self._supervisor if message.source == "supervisor" else self._directory.address("router")
        if not self._followers or sender != known:
            return
        self._publish(self._tree.take(message, time.time()))
        self._greet()

    def router_replaced(self) -> None:
        """Another router serves now."""
        if self._followers:
            self._ask("router", fresh=True)

    def _greet(self, *, complete: bool = False) -> None:
        """Tell the tree to who has not been told, once all of it is known."""
        if not self._new or not (complete or self._tree.complete):
            return
        snapshot = self._tree.snapshot(time.time(), self._memory)
        for backlog in self._new:
            backlog.put(snapshot)
        self._new.clear()

    def _publish(self, events: list[bytes]) -> None:
        for event in events:
            for backlog in self._followers:
                if backlog not in self._new:
                    backlog.put(event)

    # What is asked and sampled, while somebody follows

    def _begin(self) -> None:
        self._tree, self._memory = LiveTree(), {}
        for name in ("supervisor", "router"):
            self._ask(name, fresh=True)
        self._work = [
            self._actor.spawn(self._every(_RENEW_S, self._renew), name="renew"),
            self._actor.spawn(self._every(_SAMPLE_S, self._sample), name="sample"),
            self._actor.spawn(self._watch_memory(), name="memory"),
        ]

    def _rest(self) -> None:
        for task in self._work:
            task.cancel()
        self._work = []
        for name in ("supervisor", "router"):
            self._send(name, FollowTree(lease_s=0.0))

    async def _every(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            work()

    def _renew(self) -> None:
        for name in ("supervisor", "router"):
            self._ask(name)

    def _ask(self, name: str, *, fresh: bool = False) -> None:
        self._send(name, FollowTree(lease_s=_LEASE_S, fresh=fresh))

    def _send(self, name: str, message: Message) -> None:
        address = self._supervisor if name == "supervisor" else self._directory.address(name)
        if address is not None:
            try:
                self._actor.send(address, message)
            except FrameTooLarge:  # cannot be
                logger.exception("%s cannot be sent", message)

    def _sample(self) -> None:
        self._greet(complete=True)
        numbers = sample_of(installed().values())
        self._publish([sse("numbers", {"at": time.time(), **numbers})])

    async def _watch_memory(self) -> None:
        """Processes are measured here, from outside: nobody has to answer for it."""
        await asyncio.sleep(_SAMPLE_S / 2)
        while True:
            news: dict[str, int] = {}
            pids = self._tree.pids()
            for number, (name, pid) in enumerate(pids.items()):
                resident = resident_bytes(pid)
                if resident and abs(resident - self._memory.get(name, 0)) >= _DELTA_BYTES:
                    news[name] = resident
                if number % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)
            self._memory = {name: value for name, value in self._memory.items() if name in pids} | news
            if news:
                self._publish([sse("memory", {"at": time.time(), "resident_bytes": news})])
            await asyncio.sleep(_MEMORY_S)

    def _count(self, followers: int) -> None:
        self._actor.counters[FOLLOWERS] = followers


_SLOW = "What was waiting for you became too much; come again and begin with the tree as it is then."
