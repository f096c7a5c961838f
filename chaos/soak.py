"""A day in minutes: conversations come, fall asleep and return, and nothing that the gateway holds may grow.

The same people come back again and again, so that what is stored of them is not what grows. Before it counts, each
has said as much as a conversation remembers whatever its age; and the clock runs so fast that what is remembered for
days is forgotten meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from chaos.gateway import Gateway
from chaos.processes import descriptors, pss_bytes
from chaos.slopes import Slope, slope_of
from openclaw_actors.core.conversation import REMEMBERED_IDS

__all__ = ["Row", "Soak", "files_in", "soak"]

_VISIT_WITHIN_S = 60.0
_ASLEEP_WITHIN_S = 60.0
_SAMPLES = 200
_SHORTEST_PERIOD_S = 0.5
_VISITORS = 8
_AT_ONCE = 16
_FILLING = REMEMBERED_IDS + 100
_DAYS = 15
_SET_ASIDE = re.compile(r"(?:gateway\.log|audit\.jsonl)\.[1-5]|usage\.jsonl\.[1-9]")
_CONFIG: dict[str, dict[str, Any]] = {"sessions": {"idle_seconds": 2}}
_TOLERANCES = {"memory": 2 * 1024 * 1024, "descriptors": 1.0, "processes": 1.0, "files": 1.0}
"""So much within the time of a soak cannot be told from nothing."""

Samples: TypeAlias = dict[tuple[str, str], list[tuple[float, float]]]
"""By process and what is measured: time in seconds, and value."""


@dataclass(frozen=True)
class Row:
    """One thing of one process, or of the whole gateway."""

    who: str
    what: str
    slope: Slope

    @property
    def grows(self) -> bool:
        return self.slope.grows(_TOLERANCES[self.what])

    @property
    def verdict(self) -> str:
        """In words."""
        if self.grows:
            return "GROWS"
        return "zero within noise" if self.slope.may_be_zero else "too little to count"


@dataclass
class Soak:
    """What came of it."""

    rows: list[Row] = field(default_factory=list)
    visits: int = 0
    most_live: int = 0
    fewest_live: int = 0
    seconds: float = 0.0
    days: int = 0
    """That passed by its clock."""


async def soak(
    directory: Path, *, minutes: float, sessions: int, seed: int, log: Callable[[str], object]
) -> Soak:
    """Run a gateway for so long; the first third, in which its caches fill, does not count.

    Args:
        directory: an empty one.
        sessions: people who come and go.
    """
    gateway = Gateway(directory, config=_CONFIG, bad_clock=True)
    running = asyncio.ensure_future(gateway.keep_running())
    try:
        await gateway.until_ready()
        return await _soak(gateway, minutes * 60, sessions, random.Random(seed), log)
    finally:
        await gateway.stop()
        running.cancel()


async def _soak(
    gateway: Gateway, seconds: float, sessions: int, dice: random.Random, log: Callable[[str], object]
) -> Soak:
    found = Soak()
    names = [f"soak-{number}" for number in range(sessions)]
    await asyncio.gather(*(_fill(gateway.url, name) for name in names))
    await _until_asleep(gateway)
    assert gateway.clock is not None
    found.days = 0 if gateway.clock.missing else _DAYS
    log(f"{sessions} people have said {_FILLING} messages each" + gateway.clock.missing)
    began = time.monotonic()
    end = began + seconds
    visitors = [
        asyncio.ensure_future(_come_and_go(gateway.url, names[index::_VISITORS], end, dice, found))
        for index in range(min(_VISITORS, sessions))
    ]
    samples: Samples = defaultdict(list)
    live: list[int] = []
    period = max(_SHORTEST_PERIOD_S, seconds / _SAMPLES)
    while time.monotonic() < end and not any(each.done() for each in visitors):
        await asyncio.sleep(period)
        gateway.clock.shift(_DAYS * 86_400 / _SAMPLES)
        now = time.monotonic() - began
        if now >= seconds / 3:
            live.append(_sample(gateway, now, samples))
    await asyncio.gather(*visitors)
    found.seconds = seconds
    found.most_live, found.fewest_live = max(live), min(live)
    found.rows = [_row(who, what, values, live) for (who, what), values in sorted(samples.items())]
    return found


def _row(who: str, what: str, values: list[tuple[float, float]], live: list[int]) -> Row:
    """Each conversation that is awake has its descriptors and memory in the services; that is not what grows."""
    return Row(who, what, slope_of(values, live if len(live) == len(values) else ()))


async def _until_asleep(gateway: Gateway) -> None:
    async with asyncio.timeout(_ASLEEP_WITHIN_S):
        while "SessionActor" in gateway.processes().values():  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(_SHORTEST_PERIOD_S)


def _sample(gateway: Gateway, now: float, samples: Samples) -> int:
    """Returns how many conversations are awake."""
    processes = gateway.processes()
    for pid, name in processes.items():
        if name != "SessionActor":
            samples[name, "memory"].append((now, pss_bytes(pid)))
            samples[name, "descriptors"].append((now, descriptors(pid)))
    awake = sum(name == "SessionActor" for name in processes.values())
    samples["all but sessions", "processes"].append((now, len(processes) - awake))
    state = gateway.directory / "state"
    samples["state directory", "files"].append((now, files_in(state)))
    return awake


def files_in(state: Path) -> int:
    """How many files and directories there are, but sockets, the five old logs and the nine old ledgers of usage.

    There are at most so many of them, and most soaks are too short to see them all: the first would look like growth.
    One more counts.
    """
    return sum(1 for path in state.rglob("*") if not path.is_socket() and not _SET_ASIDE.fullmatch(path.name))


async def _come_and_go(url: str, names: list[str], end: float, dice: random.Random, found: Soak) -> None:
    while names and time.monotonic() < end:
        await asyncio.sleep(dice.uniform(0.1, 0.6))
        await _visit(url, dice.choice(names), found)


async def _fill(url: str, session: str) -> None:
    """Says so much that a conversation's memory of ids is full."""
    async with connect(url, subprotocols=[Subprotocol("openclaw.v2")], proxy=None) as connection:
        said = heard = 0
        while heard < _FILLING:
            while said < min(_FILLING, heard + _AT_ONCE):
                words = {"type": "user_message", "sessionId": session, "text": f"say {said}"}
                await connection.send(json.dumps(words))
                said += 1
            event = json.loads(await asyncio.wait_for(connection.recv(), _VISIT_WITHIN_S))
            if event["type"] == "error":
                raise RuntimeError(f"{session}: {event['code']} {event['text']}")
            heard += event["type"] == "turn_done"


async def _visit(url: str, session: str, found: Soak) -> None:
    """Says something, hears the answer, and leaves."""
    words = f"say {found.visits}"
    found.visits += 1
    async with (
        asyncio.timeout(_VISIT_WITHIN_S),
        connect(url, subprotocols=[Subprotocol("openclaw.v2")], proxy=None) as connection,
    ):
        await connection.send(json.dumps({"type": "user_message", "sessionId": session, "text": words}))
        async for frame in connection:
            event = json.loads(frame)
            if event["type"] == "turn_done" and event["text"] == f"echo: {words}":
                return
            if event["type"] == "error":
                raise RuntimeError(f"{session}: {words} was refused: {event['code']} {event['text']}")
    raise RuntimeError(f"{session}: {words} has no answer: {connection.close_code} {connection.close_reason}")
