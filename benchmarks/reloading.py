"""Measures how long a running gateway takes to go over to another configuration, and that no process is replaced."""

from __future__ import annotations

__all__ = ["measure_reload"]

import asyncio
import time
from pathlib import Path

from benchmarks.clients import Load
from benchmarks.gateway import Gateway
from benchmarks.table import Row, median
from openclaw_actors.actors.rundir import read_record
from openclaw_actors.actorsystem import Endpoint
from openclaw_actors.messages import Reload, Reloaded

_MAX_RELOAD_MS = 100.0
_WITHIN_S = 30.0
_SESSIONS = 20


def measure_reload(directory: Path, *, reloads: int) -> list[Row]:
    """A rate limit is changed, again and again: from the question to the supervisor until its answer.

    Twenty conversations live meanwhile, and have to be told too.

    Args:
        reloads: how often.
    """
    with Gateway(directory) as gateway, Load(gateway.url, sessions=_SESSIONS, prefix="reload") as load:
        load.round({"turns": 1})
        before = set(gateway.tree.pids())
        times_ms = asyncio.run(_reload_often(gateway, reloads))
        replaced = len(before ^ set(gateway.tree.pids()))
    return [
        Row(
            name=f"reload of a rate limit, {_SESSIONS} live conversations",
            value=median(times_ms),
            unit="ms",
            target=_MAX_RELOAD_MS,
            runs=times_ms,
            digits=0,
        ),
        Row(name="processes that it replaces", value=replaced, unit="", target=0, digits=0),
    ]


async def _reload_often(gateway: Gateway, reloads: int) -> list[float]:
    record = read_record(gateway.state / "run")
    assert record is not None
    times_ms = []
    async with Endpoint(record.run_dir) as endpoint:
        for number in range(reloads):
            gateway.configure({"sessions": {"rate_limit_per_minute": 1_000_000 + number}})
            began = time.perf_counter()
            done: Reloaded = await endpoint.ask(record.supervisor, Reload(), timeout_s=_WITHIN_S)
            times_ms.append((time.perf_counter() - began) * 1000)
            assert done.code == "reloaded", done
    return times_ms
