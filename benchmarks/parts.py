"""Measures what a turn costs in processor time by part: by process, user and kernel, and by the code that ran."""

from __future__ import annotations

__all__ = ["cost_table", "measure_parts"]

import os
from collections import Counter
from pathlib import Path

from benchmarks.clients import Load
from benchmarks.gateway import Gateway
from benchmarks.processes import Costs

_SESSIONS = 100
_CLIENTS = 2
_SAMPLER = Path(__file__).parent / "sampler"
_SERVICES = {
    "SessionActor": "session",
    "PersistenceActo": "persistence",
    "ModelActor": "model",
    "WebSocketChanne": "channel",
    "SessionRouter": "router",
}
"""By the names that the kernel keeps, of 15 characters."""
_CODE = (
    ("thespian", "Thespian"),
    ("openclaw_actors.actorsystem", "our transport under it (sockets, frames, codec, mailbox)"),
    ("asyncio", "asyncio's loop"),
    ("selectors", "asyncio's loop"),
    ("openclaw_actors.core", "decisions (`core`)"),
    ("openclaw_actors.agent", "prompt (`agent`)"),
    ("openclaw_actors.store", "the store"),
    ("openclaw_actors.channels", "channel protocol (`channels`, `websockets`)"),
    ("websockets", "channel protocol (`channels`, `websockets`)"),
    ("openclaw_actors.providers", "providers"),
    ("openclaw_actors.actors", "shells of the actors"),
    ("openclaw_actors", "other code of ours"),
    ("enum", "enumerations, context managers, dataclasses, logging"),
    ("contextlib", "enumerations, context managers, dataclasses, logging"),
    ("dataclasses", "enumerations, context managers, dataclasses, logging"),
    ("logging", "enumerations, context managers, dataclasses, logging"),
)


def measure_parts(directory: Path, *, runs: int, seconds: float) -> list[str]:
    """Two tables of Markdown: a gateway that nobody watches, by process; one that is sampled, by code.

    Args:
        runs: rounds, whose costs are added up.
        seconds: of each round.
    """
    spent, turns = _talk(directory / "plain", runs, seconds)
    samples = directory / "samples"
    samples.mkdir(parents=True)
    os.environ["BENCH_SAMPLES"] = str(samples)
    try:
        begin = samples.with_suffix(".begin")
        sampled, sampled_turns = _talk(directory / "sampled", runs, seconds, begin=begin)
    finally:
        del os.environ["BENCH_SAMPLES"]
    by_code = _by_code(samples)
    whole = sum(by_code.values())
    lines = ["| code | share |", "|---|--:|"]
    lines += [f"| {name} | {count / whole:.1%} |" for name, count in by_code.most_common()]
    about = (
        f"{_SESSIONS} sessions in parallel, {turns} turns. By code, as a sample every 2 ms of processor time sees it "
        f"({whole} samples; {sampled.total_s / sampled_turns * 1e3:.2f} ms a turn while sampled):"
    )
    return [cost_table(spent, turns), f"{about}\n\n" + "\n".join(lines)]


def _talk(directory: Path, runs: int, seconds: float, *, begin: Path | None = None) -> tuple[Costs, int]:
    with (
        Gateway(directory, site=None if begin is None else _SAMPLER) as gateway,
        Load(gateway.url, sessions=_SESSIONS, processes=_CLIENTS) as load,
    ):
        load.round({"turns": 5})  # forks the sessions
        if begin is not None:
            begin.touch()
        before = gateway.tree.costs()
        turns = sum(len(load.round({"seconds": seconds}).done_ms) for _ in range(runs))
        return gateway.tree.costs().since(before), turns


def cost_table(spent: Costs, turns: int) -> str:
    """Milliseconds of processor time a turn, by part, user and kernel, as a Markdown table."""
    lines = ["| part | processes | user | kernel | together, ms a turn |", "|---|--:|--:|--:|--:|"]
    for name, seconds in sorted(spent.seconds.items(), key=lambda item: -item[1]):
        kernel = spent.kernel.get(name, 0.0)
        lines.append(_line(_SERVICES.get(name, name), spent.count.get(name, 0), seconds, kernel, turns))
    processes, kernel = sum(spent.count.values()), sum(spent.kernel.values())
    lines.append(_line("**gateway together**", processes, spent.total_s, kernel, turns))
    return "\n".join(lines)


def _line(name: str, count: int, seconds: float, kernel: float, turns: int) -> str:
    user_ms, kernel_ms, ms = ((seconds - kernel) / turns * 1e3, kernel / turns * 1e3, seconds / turns * 1e3)
    return f"| {name} | {count} | {user_ms:.2f} | {kernel_ms:.2f} | {ms:.2f} |"


def _by_code(samples: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in samples.iterdir():
        for line in file.read_text().splitlines():
            count, _, module = line.partition(" ")
            found[_code_of(module)] += int(count)
    return found


def _code_of(module: str) -> str:
    for prefix, name in _CODE:
        if module == prefix or module.startswith(f"{prefix}."):
            return name
    return "other libraries"
