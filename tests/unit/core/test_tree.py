"""What is told of a part of the tree: all of it once, then the differences."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_actors.core.tree import Told
from openclaw_actors.messages.tree import ActorView, GoneActor


def view(name: str = "a", **fields: Any) -> ActorView:
    base = ActorView(
        name=name,
        kind="session",
        state="running",
        pid=1,
        incarnation=1,
        restarts=0,
        mailbox_depth=0,
        since=1.0,
    )
    return msgspec.structs.replace(base, **fields)


def test_only_differences_are_told() -> None:
    told = Told()
    assert told.all([view("a"), view("b")]) == (view("a"), view("b"))
    assert told.changes([view("a"), view("b")], {}) == ((), ())
    assert told.changes([view("a"), view("b", pid=2), view("c")], {}) == ((view("b", pid=2), view("c")), ())
    assert told.changes([view("a"), view("b", pid=2), view("c")], {}) == ((), ())


def test_who_is_gone_is_told_once_and_why() -> None:
    told = Told()
    told.all([view("a"), view("b"), view("c")])
    gone = (GoneActor(name="a", why="passivated"), GoneActor(name="b", why="ended"))
    assert told.changes([view("c")], {"a": "passivated"}) == ((), gone)
    assert told.changes([view("c")], {}) == ((), ())


def test_who_left_and_came_back_meanwhile_is_only_otherwise() -> None:
    told = Told()
    told.all([view("a")])
    assert told.changes([view("a", pid=9)], {"a": "passivated"}) == ((view("a", pid=9),), ())
