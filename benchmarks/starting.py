"""Measures what a gateway costs before and beside the turns: to start, to be idle, to open an old conversation."""

from __future__ import annotations

__all__ = ["measure_idle", "measure_opening", "measure_start"]

import time
from pathlib import Path

from benchmarks import stores
from benchmarks.clients import Load
from benchmarks.gateway import Gateway
from benchmarks.table import Row, median

_MAX_START_S = 1.5
_MAX_OPENING_MS = 200.0
_MAX_IDLE_MB = 120.0
_MAX_IDLE_PERCENT = 0.5
_SETTLE_S = 3.0
_MB = 1024 * 1024


def measure_start(directory: Path, *, runs: int, stored: int) -> list[Row]:
    """From the start of the process to its `ready` line, with an empty store and with a full one.

    Args:
        runs: starts of each, in turn.
        stored: sessions in the full store.
    """
    empty, full = directory / "empty", directory / "full"
    stores.make_sessions(full / "state" / "memory", count=stored)
    times: dict[Path, list[float]] = {empty: [], full: []}
    for place in (empty, full):
        _start_s(place)  # compiles what is not compiled, and fills the page cache
    for _ in range(runs):
        for place, seconds in times.items():
            seconds.append(_start_s(place))
    beside = f"{median(times[full]) / median(times[empty]):.2f} : 1 to the empty store"
    return [
        Row(
            name="start to `ready`, empty store",
            value=median(times[empty]),
            unit="s",
            target=_MAX_START_S,
            runs=times[empty],
            digits=2,
        ),
        Row(
            name=f"start to `ready`, {stored:,} stored sessions",
            value=median(times[full]),
            unit="s",
            target=_MAX_START_S,
            runs=times[full],
            beside=beside,
            digits=2,
        ),
    ]


def _start_s(directory: Path) -> float:
    with Gateway(directory) as gateway:
        return gateway.start_s


def measure_opening(directory: Path, *, runs: int, turns: int) -> list[Row]:
    """The first message to a very long conversation that no process holds, until its receipt.

    Args:
        runs: how often; the gateway is started anew for each.
        turns: of the conversation.
    """
    size = stores.make_conversation(
        directory / "long" / "state" / "memory", key="websocket:local:long-0-0", turns=turns
    )
    long = [_first_receipt_ms(directory / "long", "long") for _ in range(runs)]
    new = [_first_receipt_ms(directory / "new", f"new{number}") for number in range(runs)]
    return [
        Row(
            name=f"open a conversation of {turns:,} turns, {size / 1e6:.0f} MB",
            value=median(long),
            unit="ms",
            target=_MAX_OPENING_MS,
            runs=long,
            beside=f"a new conversation {median(new):.0f} ms",
            digits=0,
        )
    ]


def _first_receipt_ms(directory: Path, prefix: str) -> float:
    with Gateway(directory) as gateway, Load(gateway.url, sessions=1, prefix=prefix) as load:
        return load.round({"turns": 1}).accepted_ms[0]


def measure_idle(directory: Path, *, runs: int, seconds: float) -> list[Row]:
    """Memory and processor time of a gateway that nobody talks to, all its processes together.

    Args:
        runs: how many stretches of time are looked at.
        seconds: how long each is.
    """
    with Gateway(directory) as gateway:
        time.sleep(_SETTLE_S)
        memory_mb: list[float] = []
        percent: list[float] = []
        for _ in range(runs):
            before = gateway.tree.costs().total_s
            time.sleep(seconds)
            used_s = gateway.tree.costs().total_s - before
            percent.append(used_s / seconds * 100)
            memory_mb.append(gateway.tree.pss_bytes() / _MB)
        processes = len(gateway.tree.pids())
    return [
        Row(
            name="idle gateway, memory (PSS)",
            value=median(memory_mb),
            unit="MB",
            target=_MAX_IDLE_MB,
            runs=memory_mb,
            beside=f"{processes} processes",
        ),
        Row(
            name="idle gateway, share of a core",
            value=median(percent),
            unit="%",
            target=_MAX_IDLE_PERCENT,
            runs=percent,
            beside=f"over {seconds:.0f} s each",
            digits=2,
        ),
    ]
