"""Decides what `status --watch` shows on a screen of a given size, and what each key does to it. Pure."""

from __future__ import annotations

__all__ = ["Act", "Leave", "Row", "WatchView", "rates", "rows"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from openclaw_actors.cli.plain import one_line
from openclaw_actors.cli.tables import age, column_table, node_cells
from openclaw_actors.messages.admin import Status, StatusNode

SORTS = ("tree", "memory", "mailbox", "restarts", "age", "name")
MAX_FILTER = 60
MAX_PROBLEMS = 3
KEYS_LINE = "q leave  s sort  / filter  c counters  up/down select  r restart  x stop"
NUMBERS = ("PID", "INC", "REST", "MBOX", "AGE", "MEMORY")
_NOT_COUNTED = ("mailbox_depth", "process_resident_bytes", "start_time_seconds")


@dataclass(frozen=True)
class Row:
    """One actor on the screen, with the branches of the tree before its name."""

    lead: str
    node: StatusNode


@dataclass(frozen=True)
class Act:
    """The person wants this done to an actor, and has confirmed it."""

    verb: Literal["restart", "stop"]
    name: str


@dataclass(frozen=True)
class Leave:
    """The person wants to go."""


def rows(root: StatusNode, *, sort: str = "tree", wanted: str = "") -> list[Row]:
    """The tree as lines: siblings in order of `sort`; of a filter what matches, with what stands above it."""
    return list(_rows(root, sort, wanted.casefold(), below="", branch=""))


def _rows(node: StatusNode, sort: str, wanted: str, *, below: str, branch: str) -> Iterator[Row]:
    if not _is_wanted(node, wanted):
        return
    yield Row(below + branch, node)
    below += {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    children = _sorted([child for child in node.children if _is_wanted(child, wanted)], sort)
    for place, child in enumerate(children, 1):
        yield from _rows(child, sort, wanted, below=below, branch="└─ " if place == len(children) else "├─ ")


def _is_wanted(node: StatusNode, wanted: str) -> bool:
    if not wanted or any(wanted in text.casefold() for text in (node.name, node.state, node.doing)):
        return True
    return any(_is_wanted(child, wanted) for child in node.children)


def _sorted(nodes: list[StatusNode], sort: str) -> list[StatusNode]:
    match sort:
        case "memory":
            return sorted(nodes, key=lambda node: -node.rss_bytes)
        case "mailbox":
            return sorted(nodes, key=lambda node: -node.mailbox_depth)
        case "restarts":
            return sorted(nodes, key=lambda node: -node.restarts)
        case "age":
            return sorted(nodes, key=lambda node: -node.age_seconds)
        case "name":
            return sorted(nodes, key=lambda node: node.name)
    return nodes


def rates(before: Mapping[str, float], now: Mapping[str, float], seconds: float) -> dict[str, float]:
    """What changed, per second. What went down began anew, or is no counter: it has no rate."""
    if seconds <= 0:
        return {}
    return {
        name: (value - before[name]) / seconds
        for name, value in now.items()
        if name in before and value > before[name]
    }


@dataclass
class WatchView:
    """What the person sees and has chosen."""

    status: Status | None = None
    trouble: str = ""
    """Why what is shown is not new."""
    said: str = ""
    """What came of the last thing that was done."""
    sort: str = "tree"
    wanted: str = ""
    selected: str = ""
    _rates: dict[str, float] = field(default_factory=dict)
    _taken_at: float = 0.0
    _typing: bool = False
    _counters: bool = False
    _asked: Act | None = None
    _first: int = 0
    """The first line of the tree, or of the counters, on the screen."""

    def take(self, status: Status, now: float) -> None:
        """A new status, that came at `now` (monotonic seconds)."""
        if self.status is not None:
            self._rates = rates(self.status.counters, status.counters, now - self._taken_at)
        self.status, self._taken_at, self.trouble = status, now, ""

    def lost(self, why: str) -> None:
        """There is no new status; the old one stays on the screen, marked."""
        self.trouble = why
        self._rates = {}

    # Keys

    def press(self, key: str) -> Act | Leave | None:
        """A key: a character, or a name such as `up`, `page down`, `end`, `enter`, `escape`, `backspace`."""
        if self._typing:
            self._type(key)
            return None
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self.said = "" if key == "y" else "nothing was done"
            return asked if key == "y" else None
        self.said = ""
        match key:
            case "q":
                return Leave()
            case "s":
                self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
            case "/":
                self._typing, self._counters = True, False
            case "escape":
                self.wanted = ""
            case "c":
                self._counters, self._first = not self._counters, 0
            case "r" | "x" if not self._counters:
                self._ask("restart" if key == "r" else "stop")
            case "up" | "down" | "page up" | "page down" | "home" | "end":
                self._move(key)
        return None

    def _type(self, key: str) -> None:
        match key:
            case "enter":
                self._typing = False
            case "escape":
                self._typing, self.wanted = False, ""
            case "backspace":
                self.wanted = self.wanted[:-1]
            case _ if len(key) == 1 and key.isprintable() and len(self.wanted) < MAX_FILTER:
                self.wanted += key

    def _ask(self, verb: Literal["restart", "stop"]) -> None:
        if self.selected and any(row.node.name == self.selected for row in self._rows()):
            self._asked = Act(verb, self.selected)
        else:
            self.said = "choose an actor first, with the arrow keys"

    def _move(self, key: str) -> None:
        steps = {"up": -1, "down": 1, "page up": -10, "page down": 10, "home": -1_000_000, "end": 1_000_000}
        if self._counters:
            self._first = max(0, self._first + steps[key])
            return
        names = [row.node.name for row in self._rows()]
        if not names:
            return
        place = (names.index(self.selected) if self.selected in names else -1) + steps[key]
        self.selected = names[min(max(0, place), len(names) - 1)]

    def _rows(self) -> list[Row]:
        return [] if self.status is None else rows(self.status.root, sort=self.sort, wanted=self.wanted)

    # The screen

    def render(self, height: int) -> RenderableType:
        """All of it, in at most `height` lines."""
        if self.status is None:
            return Text(self.trouble or "asking the gateway …", style="yellow")
        head = self._head(self.status)
        room = max(1, height - len(head) - 2)
        body = self._counter_table(self.status, room) if self._counters else self._tree(room)
        return Group(*(_line(text) for text in head), body, _line(self._foot()))

    def _head(self, status: Status) -> list[Text]:
        health = ("healthy", "green") if status.healthy else ("not healthy", "bold red")
        first = Text.assemble(health, f", up {age(status.uptime_seconds)}")
        if status.draining:
            first.append(", draining", style="yellow")
        if turns := [name for name in self._rates if name.startswith("turns_total")]:
            first.append(f", {sum(self._rates[name] for name in turns):.1f} turns/s")
        lines = [first]
        if self.trouble:
            lines.append(Text(one_line(self.trouble), style="yellow"))
        style = "yellow" if status.healthy else "red"
        lines += [Text(f"  {one_line(problem)}", style=style) for problem in status.problems[:MAX_PROBLEMS]]
        if (more := len(status.problems) - MAX_PROBLEMS) > 0:
            lines.append(Text(f"  and {more} more: openclaw-actors health", style=style))
        return lines

    def _tree(self, room: int) -> RenderableType:
        shown = self._rows()
        names = [row.node.name for row in shown]
        if self.selected in names:
            place = names.index(self.selected)
            self._first = min(max(self._first, place - room + 1), place)
        self._first = max(0, min(self._first, len(shown) - room))
        table = column_table("NAME", "STATE", *NUMBERS, "DOING", numbers=NUMBERS)
        for row in shown[self._first : self._first + room]:
            style = "reverse" if row.node.name == self.selected else ""
            table.add_row(*node_cells(row.node, lead=row.lead), style=style)
        return table

    def _counter_table(self, status: Status, room: int) -> RenderableType:
        shown = [
            (name, value)
            for name, value in sorted(status.counters.items())
            if value and not name.startswith(_NOT_COUNTED)
        ]
        self._first = max(0, min(self._first, len(shown) - room))
        table = column_table("COUNTER", "VALUE", "PER SECOND", numbers=("VALUE", "PER SECOND"))
        for name, value in shown[self._first : self._first + room]:
            rate = self._rates.get(name)
            table.add_row(Text(one_line(name)), f"{value:g}", "" if rate is None else f"{rate:.1f}")
        return table

    def _foot(self) -> Text:
        if self._typing:
            return Text(f"filter: {self.wanted}_  (Enter keeps it, Escape removes it)", style="bold")
        if self._asked is not None:
            return Text(f"{self._asked.verb} {one_line(self._asked.name)}? y does it", style="bold yellow")
        if self.said:
            return Text(one_line(self.said), style="bold")
        chosen = f"[{self.sort}] " if self.sort != "tree" else ""
        if self.wanted:
            chosen += f"[/{one_line(self.wanted)}, {len(self._rows())} actors] "
        return Text(chosen + KEYS_LINE, style="dim")


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
