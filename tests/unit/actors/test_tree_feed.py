"""Telling a follower of the tree: nothing for nobody, differences for whoever is there, and nobody is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from openclaw_actors.actors import tree_feed
from openclaw_actors.actors.tree_feed import TreeFeed
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.messages import FollowTree, TreeChanges
from openclaw_actors.messages.tree import ActorView
from tests.unit.core.test_tree import view


class World:
    """An actor whose timer is turned by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.sent: list[tuple[Any, TreeChanges]] = []
        self.timers: list[Callable[[], None]] = []
        self.views: list[ActorView] = [view("a")]
        self.looks = 0
        self.began = 0
        monkeypatch.setattr(tree_feed.time, "monotonic", lambda: self.now)
        self.feed = TreeFeed(cast(AsyncActor, self), "router", self.look, begins=self.begin, touched=True)

    def look(self) -> list[ActorView]:
        self.looks += 1
        return list(self.views)

    def begin(self) -> None:
        self.began += 1

    def send(self, address: Any, message: TreeChanges) -> None:
        self.sent.append((address, message))

    def call_later(self, delay_s: float, fn: Callable[[], None]) -> None:
        self.timers.append(fn)

    def turn(self, seconds: float = 0.2) -> list[TreeChanges]:
        self.now += seconds
        before = len(self.sent)
        timers, self.timers = self.timers, []
        for timer in timers:
            timer()
        return [message for _, message in self.sent[before:]]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_nobody_costs_nothing(world: World) -> None:
    world.feed.touch()
    assert (world.turn(), world.looks, world.timers) == ([], 0, [])


def test_a_follower_hears_all_and_then_what_differs(world: World) -> None:
    world.feed.follow(FollowTree(lease_s=15.0, fresh=True), "http")
    assert [(to, message.full, message.actors) for to, message in world.sent] == [
        ("http", True, (view("a"),))
    ]
    assert world.began == 1
    assert (world.turn(), world.looks) == ([], 1)  # nothing was touched
    world.feed.touch()
    assert world.turn() == []
    world.views = [view("a", pid=2)]
    world.feed.touch()
    (message,) = world.turn()
    assert (message.full, message.actors) == (False, (view("a", pid=2),))
    world.views = []
    world.feed.left("a", "passivated")
    world.feed.touch()
    (message,) = world.turn()
    assert [(each.name, each.why) for each in message.gone] == [("a", "passivated")]


def test_who_is_not_heard_of_any_more_is_told_nothing(world: World) -> None:
    world.feed.follow(FollowTree(lease_s=15.0, fresh=True), "http")
    world.turn(10.0)
    world.feed.follow(FollowTree(lease_s=15.0), "http")
    world.feed.touch()
    world.views = [view("b")]
    assert len(world.turn(10.0)) == 1
    world.views = [view("c")]
    world.feed.touch()
    assert (world.turn(6.0), world.timers, world.feed.followed) == ([], [], False)
    world.feed.follow(FollowTree(lease_s=15.0), "http")
    assert world.sent[-1][1].full


def test_who_says_goodbye_and_who_comes_anew(world: World) -> None:
    world.feed.follow(FollowTree(lease_s=15.0, fresh=True), "http")
    world.feed.follow(FollowTree(lease_s=0.0), "another")
    assert world.feed.followed
    world.feed.follow(FollowTree(lease_s=0.0), "http")
    assert not world.feed.followed
    world.feed.follow(FollowTree(lease_s=15.0, fresh=True), "next")
    (message,) = world.turn()
    assert (world.sent[-1][0], message.full, world.began) == ("next", True, 2)


def test_what_was_not_taken_is_told_again_whole(world: World) -> None:
    world.feed.follow(FollowTree(lease_s=15.0, fresh=True), "http")
    world.feed.not_taken("something else")
    assert world.turn() == []
    world.feed.not_taken(world.sent[0][1])
    (message,) = world.turn()
    assert message.full
