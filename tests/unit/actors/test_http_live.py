"""Followers of the gateway: how many, what they hear first, and what becomes of one that does not read."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from typing import Any, cast

import msgspec
import pytest

from openclaw_actors.actors.board import FOLLOWERS
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.http_live import LiveFeed
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config.sections import HttpConfig
from openclaw_actors.core.series import Tally
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import Directory, FollowTree, ServiceRef, TreeChanges
from openclaw_actors.messages.tree import TreeHealth
from tests.unit.channels.http.test_live import service
from tests.unit.core.test_tree import view


def scene(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs a test in a loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class Channel:
    """Stands in for the channel's actor."""

    def __init__(self) -> None:
        self.counters = Tally()
        self.sent: list[tuple[str, FollowTree]] = []

    def send(self, address: str, message: FollowTree) -> None:
        self.sent.append((address, message))

    def spawn(self, coro: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(coro, name=name)


def world(**limits: int) -> tuple[LiveFeed, Channel]:
    channel = Channel()
    services = {"router": ServiceRef(address="router", incarnation=1)}
    directory = ServiceDirectory(Directory(generation=1, services=services))
    config = msgspec.structs.replace(HttpConfig(), **limits)
    return LiveFeed(cast(AsyncActor, channel), "supervisor", directory, config), channel


def tell(feed: LiveFeed) -> None:
    health = TreeHealth(ready=True, draining=False, problems=())
    services = (service("router", pid=None),)
    feed.take(TreeChanges(source="supervisor", full=True, actors=services, health=health), "supervisor")


async def names(pieces: Any, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            piece = await anext(pieces)
            found += [line[7:] for line in piece.decode().split("\n") if line.startswith("event: ")]
    return found


@scene
async def test_sources_are_asked_while_somebody_follows_and_told_goodbye() -> None:
    feed, channel = world()
    assert channel.counters[FOLLOWERS] == 0
    pieces = feed.follow()
    await anext(pieces)
    assert channel.counters[FOLLOWERS] == len(feed) == 1
    assert [(to, message.fresh) for to, message in channel.sent] == [("supervisor", True), ("router", True)]
    tell(feed)
    assert await names(pieces, 1) == ["snapshot"]
    await pieces.aclose()
    assert channel.counters[FOLLOWERS] == len(feed) == 0
    assert [message.lease_s for _, message in channel.sent[2:]] == [0.0, 0.0]


@scene
async def test_whoever_comes_later_begins_with_the_tree_too() -> None:
    feed, _ = world()
    first, second = feed.follow(), feed.follow()
    await anext(first)
    tell(feed)
    await anext(second)
    changed = TreeChanges(source="router", full=True, actors=(view("one"),))
    feed.take(changed, "an old router")
    feed.take(changed, "router")
    for pieces in (first, second):
        assert await names(pieces, 2) == ["snapshot", "actors"]
        await pieces.aclose()


@scene
async def test_only_so_many_may_follow() -> None:
    feed, _ = world(max_event_followers=1)
    first = feed.follow()
    await anext(first)
    with pytest.raises(AskRefused, match="1 clients") as refusal:
        await anext(feed.follow())
    assert refusal.value.code == "too_many"
    await first.aclose()
    again = feed.follow()
    await anext(again)
    await again.aclose()


@scene
async def test_who_does_not_read_is_cut_off_with_the_reason_and_others_are_not() -> None:
    feed, _ = world(event_buffer_bytes=2_000)
    deaf, reading = feed.follow(), feed.follow()
    await anext(deaf)
    await anext(reading)
    tell(feed)
    assert await names(reading, 1) == ["snapshot"]
    for pid in range(2, 40):
        feed.take(TreeChanges(source="router", full=True, actors=(view("one", pid=pid),)), "router")
        assert await names(reading, 1) == ["actors"]
    pieces = [piece async for piece in deaf]
    name, data = pieces[-1].decode().removeprefix("event: ").split("\ndata: ")
    assert (name, json.loads(data)["reason"]) == ("dropped", "slow")
    assert len(pieces) == 1
    assert len(feed) == 1
    await reading.aclose()


@scene
async def test_the_channels_end_is_told() -> None:
    feed, _ = world()
    pieces = feed.follow()
    await anext(pieces)
    feed.shut_down()
    assert await names(pieces, 1) == ["dropped"]
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    with pytest.raises(AskRefused, match="ends"):
        await anext(feed.follow())
