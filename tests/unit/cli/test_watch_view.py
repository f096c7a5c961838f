"""Checks what the live status shows in how many lines, and what its keys do."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from openclaw_actors.cli.watch import keys_of
from openclaw_actors.cli.watch_view import Act, Leave, WatchView, rates, rows
from openclaw_actors.messages.admin import Status, StatusNode


def _node(name: str, *children: StatusNode, memory: int = 0, doing: str = "idle") -> StatusNode:
    return StatusNode(
        name=name,
        kind="session",
        state="running",
        pid=1,
        incarnation=1,
        restarts=0,
        mailbox_depth=0,
        age_seconds=1.0,
        rss_bytes=memory,
        doing=doing,
        children=children,
    )


def _view(
    count: int, *, counters: dict[str, float] | None = None, problems: tuple[str, ...] = ()
) -> WatchView:
    sessions = [_node(f"session:{number:03}", memory=number * 1_000) for number in range(count)]
    status = Status(
        root=_node("supervisor", _node("store"), _node("router", *sessions)),
        counters=counters or {},
        healthy=not problems,
        problems=problems,
        uptime_seconds=5.0,
        draining=False,
    )
    view = WatchView()
    view.take(status, 1.0)
    return view


def _lines(view: WatchView, height: int = 24, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, no_color=True)
    with console.capture() as captured:
        console.print(view.render(height))
    return captured.get().splitlines()


@pytest.mark.parametrize("height", [8, 24, 50])
def test_two_hundred_sessions_fit_and_the_selected_one_is_always_seen(height: int) -> None:
    view = _view(200, problems=("a", "b", "c", "d", "e"))
    for key in ("down", "end", "up", "page up", "home", "page down", "page down", "page down"):
        view.press(key)
        lines = _lines(view, height, 160)
        assert len(lines) <= height
        assert any(view.selected in line for line in lines)
    assert "q leave" in lines[-1]


def test_a_selection_stays_with_its_actor_when_the_order_changes() -> None:
    view = _view(100)
    view.press("end")
    assert view.selected == "session:099"
    view.press("s")
    assert any("session:099" in line for line in _lines(view, width=160))
    assert [row.node.name for row in rows(view.status.root, sort="memory")][3] == "session:099"  # type: ignore[union-attr]


def test_a_filter_keeps_what_stands_above() -> None:
    view = _view(100)
    for key in ("/", *"q07X", "backspace", "backspace", "backspace", "backspace", *"N:07", "enter"):
        assert view.press(key) is None
    text = "\n".join(_lines(view, width=160))
    assert "session:070" in text
    assert "router" in text
    assert "session:001" not in text
    assert "store" not in text
    view.press("escape")
    assert "store" in "\n".join(_lines(view, width=160))


def test_nothing_is_done_without_a_yes_and_only_to_what_is_seen() -> None:
    view = _view(2)
    view.press("r")
    assert "choose an actor" in _lines(view)[-1]
    view.press("end")
    view.press("r")
    assert "restart session:001?" in _lines(view)[-1]
    assert view.press("n") is None
    assert view.press("y") is None
    view.press("x")
    assert view.press("y") == Act("stop", "session:001")
    assert view.press("q") == Leave()


def test_rates_are_of_what_grew() -> None:
    assert rates({"a": 1, "b": 5, "c": 2}, {"a": 3, "b": 1, "c": 2, "d": 9}, 2.0) == {"a": 1.0}
    assert rates({"a": 1}, {"a": 3}, 0.0) == {}


def test_what_is_old_is_marked_until_there_is_something_new() -> None:
    view = _view(1)
    view.lost("the gateway is restarting")
    assert "the gateway is restarting" in "\n".join(_lines(view))
    assert view.status is not None
    view.take(view.status, 3.0)
    assert "restarting" not in "\n".join(_lines(view))


def test_keys_come_apart_also_when_they_come_together() -> None:
    assert keys_of("\x1b[Aq\x1b[6~\x1b\r/é") == ["up", "q", "page down", "escape", "enter", "/", "é"]
