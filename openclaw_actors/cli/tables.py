"""Decides how trees, tables and amounts look; on a terminal with rich, elsewhere as plain text of any width."""

from __future__ import annotations

__all__ = ["age", "column_table", "console", "node_cells", "size", "status_view", "when"]

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from openclaw_actors.cli.plain import one_line
from openclaw_actors.messages.admin import Status, StatusNode

PLAIN_WIDTH = 240
_STATE_STYLES = {"running": "green", "failed": "bold red", "restarting": "yellow", "starting": "yellow"}


def console() -> Console:
    """A console on stdout that cuts nothing off when that is not a terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PLAIN_WIDTH, no_color=True)


def column_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """A table without lines; the columns in `numbers` stand to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    return table


def age(seconds: float) -> str:
    """A duration in its two largest units: `3 d 4 h`, `12 s`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, length)
        if amount or (name == "s" and not parts):
            parts.append(f"{amount} {name}")
    return " ".join(parts[:2])


def size(amount: int) -> str:
    """An amount of bytes: `14.2 MB`."""
    value = float(amount)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1_000 or unit == "GB":
            break
        value /= 1_000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def when(unix_time: float) -> str:
    """A moment in local time."""
    return datetime.fromtimestamp(unix_time).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def status_view(status: Status) -> RenderableType:
    """The tree of actors, what is wrong, and the counters."""
    table = column_table(
        "NAME", "STATE", "PID", "INC", "RESTARTS", "MAILBOX", "AGE", "MEMORY", "DOING", numbers=_NUMBERS
    )
    _add_node(table, status.root, lead="", branch="")
    parts: list[Any] = [_headline(status), "", table]
    if status.counters:
        parts += ["", _counters(status.counters)]
    return Group(*parts)


_SHOWN_ABOVE = ("mailbox_depth", "process_resident_bytes", "start_time_seconds")
_NUMBERS = ("PID", "INC", "RESTARTS", "MAILBOX", "AGE", "MEMORY")


def _headline(status: Status) -> Text:
    health = ("healthy", "green") if status.healthy else ("not healthy", "bold red")
    text = Text.assemble(health, f", up {age(status.uptime_seconds)}")
    if status.draining:
        text.append(", draining", style="yellow")
    for problem in status.problems:
        text.append(f"\n  {one_line(problem)}", style="yellow" if status.healthy else "red")
    return text


def node_cells(node: StatusNode, *, lead: str) -> Iterator[str | Text]:
    """What stands of a node in the columns of a tree: NAME, STATE, numbers, DOING; `lead` before its name."""
    yield Text(f"{lead}{one_line(node.name)}")
    yield Text(node.state, style=_STATE_STYLES.get(node.state, ""))
    yield "-" if node.pid is None else str(node.pid)
    yield str(node.incarnation)
    yield str(node.restarts)
    yield str(node.mailbox_depth)
    yield age(node.age_seconds)
    yield size(node.rss_bytes)
    yield Text(one_line(node.doing))


def _add_node(table: Table, node: StatusNode, *, lead: str, branch: str) -> None:
    table.add_row(*node_cells(node, lead=f"{lead}{branch}"))
    below = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    for child in node.children:
        last = child is node.children[-1]
        _add_node(table, child, lead=below, branch="└─ " if last else "├─ ")


def _counters(counters: dict[str, float]) -> Table:
    table = column_table("COUNTER", "VALUE", numbers=("VALUE",))
    for name, value in sorted(counters.items()):
        if not value or name.startswith(_SHOWN_ABOVE):
            continue
        table.add_row(Text(name), f"{value:g}")
    return table
