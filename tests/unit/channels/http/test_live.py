"""What followers hear of the tree, put together from what supervisor and router tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw_actors.channels.http.live import LiveTree, change_of, sse
from openclaw_actors.messages.tree import ActorView, GoneActor, TreeChanges, TreeHealth
from tests.unit.core.test_tree import view

HEALTHY = TreeHealth(ready=True, draining=False, problems=())


def service(name: str, **fields: Any) -> ActorView:
    return view(name, kind="service", **fields)


def decoded(event: bytes) -> tuple[str, Any]:
    head, data, *end = event.decode().split("\n")
    assert end == ["", ""]
    return head.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def world() -> LiveTree:
    tree = LiveTree()
    services = (service("router", pid=5), service("model", pid=6))
    tree.take(TreeChanges(source="supervisor", full=True, actors=services, health=HEALTHY), 1.0)
    tree.take(TreeChanges(source="router", full=True, actors=(view("one"),)), 1.0)
    return tree


def test_an_event_is_one_block_whatever_stands_in_it() -> None:
    assert decoded(sse("x", {"text": "a\nb\r\n\nevent: y"})) == ("x", {"text": "a\nb\r\n\nevent: y"})


def test_tree_is_complete_when_both_have_told_or_there_is_no_router() -> None:
    tree = LiveTree()
    assert not tree.complete
    tree.take(TreeChanges(source="router", full=True, actors=()), 1.0)
    assert not tree.complete
    tree = LiveTree()
    tree.take(TreeChanges(source="supervisor", full=True, actors=(service("router", pid=5),)), 1.0)
    assert not tree.complete
    tree.take(TreeChanges(source="supervisor", full=False, actors=(service("router", pid=None),)), 1.0)
    assert tree.complete


def test_a_snapshot_holds_everything() -> None:
    name, data = decoded(world().snapshot(2.0, {"one": 7}))
    assert name == "snapshot"
    assert [actor["name"] for actor in data["actors"]] == ["router", "model", "one"]
    assert (data["memory"], data["health"]["ready"], data["at"]) == ({"one": 7}, True, 2.0)


def test_changes_and_leaves_are_passed_on() -> None:
    tree = world()
    gone = (GoneActor(name="one", why="passivated"),)
    (event,) = tree.take(TreeChanges(source="router", full=False, actors=(view("two"),), gone=gone), 3.0)
    name, data = decoded(event)
    assert (name, data["gone"]) == ("actors", [{"name": "one", "why": "passivated"}])
    assert [(each["change"], each["actor"]["name"]) for each in data["changed"]] == [("ready", "two")]
    assert [actor.name for actor in tree.actors] == ["router", "model", "two"]


def test_all_told_again_is_nothing_new_but_for_what_differs() -> None:
    tree = world()
    assert tree.take(TreeChanges(source="router", full=True, actors=(view("one"),)), 3.0) == []
    (event,) = tree.take(TreeChanges(source="router", full=True, actors=(view("two"),)), 3.0)
    _, data = decoded(event)
    assert [each["name"] for each in data["gone"]] == ["one"]
    assert [each["actor"]["name"] for each in data["changed"]] == ["two"]


def test_sessions_end_with_their_router() -> None:
    tree = world()
    dead = (service("router", pid=None, state="restarting"),)
    events = tree.take(TreeChanges(source="supervisor", full=False, actors=dead), 3.0)
    assert [decoded(each)[1]["gone"] for each in events] == [[], [{"name": "one", "why": "ended"}]]
    assert tree.pids() == {"model": 6}


def test_health_is_told_when_it_is_another() -> None:
    tree = world()
    same = TreeChanges(source="supervisor", full=False, actors=(), health=HEALTHY)
    assert tree.take(same, 3.0) == []
    sick = TreeHealth(ready=False, draining=False, problems=("model: failed",))
    (event,) = tree.take(TreeChanges(source="supervisor", full=False, actors=(), health=sick), 3.0)
    assert decoded(event) == ("health", {"ready": False, "draining": False, "problems": ["model: failed"]})


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, view(state="starting", pid=None), "started"),
        (None, view(), "ready"),
        (view(), view(pid=None, state="restarting"), "died"),
        (view(), view(pid=2, state="restarting"), "died"),
        (view(), view(pid=2), "restarted"),
        (view(pid=None, state="starting"), view(), "ready"),
        (view(state="starting"), view(), "ready"),
        (view(), view(state="failed", pid=None), "failed"),
        (view(), view(state="passivating"), "passivating"),
        (view(), view(state="stopped", pid=None), "stopped"),
        (view(), view(silent_since=3.0), "silent"),
        (view(silent_since=3.0), view(), "answers"),
        (view(), view(activity="busy", doing="model call"), "activity"),
        (view(), view(mailbox_depth=3), "changed"),
    ],
)
def test_a_change_has_a_name(before: ActorView | None, after: ActorView, change: str) -> None:
    assert change_of(before, after) == change
