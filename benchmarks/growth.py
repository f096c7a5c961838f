"""Measures how costs grow: with sessions in parallel, stored sessions, history, connections, the size of a message."""

from __future__ import annotations

__all__ = ["Curve", "measure_growth", "measure_scaling"]

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import stores
from benchmarks.clients import BaselineServer, Load
from benchmarks.gateway import Gateway
from benchmarks.processes import available_bytes
from benchmarks.table import median

_CLIENTS = 2
_BYTES_A_SESSION = 16 * 1024 * 1024
_TEXT_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Figures by one growing thing, for a table and a plot.

    Args:
        name: of the thing, and of the plot's file.
        title: what is shown.
        unit: of the figures.
        points: what grows, as numbers.
        lines: by name: a figure for each point.
    """

    name: str
    title: str
    unit: str
    points: list[float] = field(default_factory=list)
    lines: dict[str, list[float]] = field(default_factory=dict)

    def add(self, point: float, **figures: float) -> None:
        """One more point."""
        self.points.append(point)
        for line, figure in figures.items():
            self.lines.setdefault(line, []).append(figure)

    def markdown(self) -> str:
        """The curve as a table."""
        head = [self.name.replace("-", " "), *(f"{name.replace('_', ' ')}" for name in self.lines)]
        rows = ["| " + " | ".join(head) + " |", "|" + "--:|" * len(head)]
        for index, point in enumerate(self.points):
            figures = [f"{line[index]:,.2f}" for line in self.lines.values()]
            rows.append("| " + " | ".join([f"{point:,.0f}", *figures]) + " |")
        return f"{self.title} ({self.unit}):\n\n" + "\n".join(rows)


def measure_scaling(directory: Path, *, counts: Sequence[int], seconds: float) -> list[Curve]:
    """Durable turns a second, and how long one takes, by the number of sessions that talk at once, beside the baseline.

    A count for which the machine has not memory enough is left out.
    """
    rates = Curve(
        name="sessions", title="Durable turns a second by sessions in parallel", unit="turns a second"
    )
    times = Curve(name="sessions-latency", title="A durable turn's p50 by sessions in parallel", unit="ms")
    cpu = Curve(
        name="sessions-cpu", title="Processor time of a turn by sessions in parallel", unit="ms a turn"
    )
    for count in counts:
        if available_bytes() < count * _BYTES_A_SESSION:
            continue
        place = directory / str(count)
        with (
            Gateway(place / "gateway", _room_for(count)) as gateway,
            BaselineServer(place / "baseline", "thread") as baseline,
            Load(gateway.url, sessions=count, processes=min(count, _CLIENTS)) as load,
            Load(baseline.url, sessions=count, processes=min(count, _CLIENTS)) as baseline_load,
        ):
            load.round({"turns": 2})
            before = gateway.tree.costs()
            ours = load.round({"seconds": seconds})
            spent = gateway.tree.costs().since(before)
            base_before = baseline.tree.costs()
            theirs = baseline_load.round({"seconds": seconds})
            base_spent = baseline.tree.costs().since(base_before)
        rates.add(count, gateway=ours.turns / ours.seconds, baseline=theirs.turns / theirs.seconds)
        times.add(count, gateway=median(ours.done_ms), baseline=median(theirs.done_ms))
        cpu.add(
            count,
            gateway=spent.total_s / len(ours.done_ms) * 1e3,
            baseline=base_spent.total_s / len(theirs.done_ms) * 1e3,
        )
    return [rates, times, cpu]


def measure_growth(directory: Path, *, turns: int, quick: bool) -> list[Curve]:
    """What a turn of one session costs while one thing grows and everything else stays.

    Args:
        turns: of each point.
        quick: smaller stores, fewer connections.
    """
    stored = _curve("stored-sessions", "A turn by sessions in the store")
    for count in (0, 100, 1_000) if quick else (0, 1_000, 10_000):
        place = directory / f"stored-{count}"
        stores.make_sessions(place / "state" / "memory", count=count)
        _add(stored, count, place, turns)
    history = _curve("history", "A turn by earlier turns of its conversation")
    for count in (0, 50, 500) if quick else (0, 50, 5_000, 50_000):
        place = directory / f"history-{count}"
        if count:
            stores.make_conversation(place / "state" / "memory", key="websocket:local:bench-0-0", turns=count)
        _add(history, count, place, turns)
    connections = _curve("connections", "A turn by other connections that are open")
    for count in (0, 100) if quick else (0, 100, 500, 900):
        _add(connections, count, directory / f"connections-{count}", turns, others=count)
    sizes = _curve("message-size", "A turn by characters of the message, which is echoed")
    for size in (10, 1_000, 10_000) if quick else (10, 1_000, 10_000, 100_000):
        _add(sizes, size, directory / f"size-{size}", max(10, turns // 5), text="x" * size)
    return [stored, history, connections, sizes]


def _curve(name: str, title: str) -> Curve:
    return Curve(name=name, title=title, unit="ms")


def _add(
    curve: Curve, point: float, directory: Path, turns: int, *, text: str = "x" * _TEXT_CHARS, others: int = 0
) -> None:
    with (
        Gateway(directory, _room_for(1)) as gateway,
        Load(gateway.url, sessions=1, text=text) as load,
        Load(gateway.url, sessions=others, prefix="idle"),
    ):
        load.round({"turns": max(5, turns // 5)})
        before = gateway.tree.costs()
        said = load.round({"turns": turns})
        spent = gateway.tree.costs().since(before)
    curve.add(point, p50=median(said.done_ms), processor_time=spent.total_s / turns * 1e3)


_STARTED_S = 60.0
"""A thousand sessions start at once, beside turns of those that have started."""


def _room_for(sessions: int) -> dict[str, object]:
    connections = max(1_000, sessions + 10)
    return {
        "sessions": {"max_live": max(256, sessions + 10)},
        "llm": {"max_concurrent_calls": max(256, sessions), "max_waiting_calls": max(256, sessions)},
        "websocket": {
            "max_connections": connections,
            "max_connections_per_ip": connections,
            "accept_timeout_seconds": _STARTED_S,
        },
    }
