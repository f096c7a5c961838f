"""Measures what a fault costs those whom it does not befall: how soon messages are taken again, how slow others get.

Deaths of services are measured from SIGKILL until the receipt of a message that was sent after it. Faults of a
conversation are measured by the answers of all others, beside the same load with a program outside the gateway that
takes as much of a processor: rounds of both kinds alternate, so that whatever else the machine does befalls both alike.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from chaos.gateway import Gateway
from chaos.processes import hit, named

__all__ = ["BESIDE", "Beside", "Deaths", "Targets", "measure"]

SERVICE_S, ROOT_S, BESIDE = 2.0, 5.0, 1.3
"""The targets: seconds after a service's death, after the root's, and times as slow beside a hog inside as outside."""

_SERVICES = ("PersistenceActo", "ModelActor", "SessionRouter", "WebSocketChanne", "HttpChannel")
_ROOTS = ("Supervisor", "admin", "start")
_ACCEPTED_WITHIN_S = 60.0
_SEND_AGAIN_S = 0.5
_PAUSE_S = 0.02
_QUIET_S = 2.0
_ANSWERED_WITHIN_S = 120.0
_LIVE = "live"
_HOG = "hog"
_CONFIG: dict[str, dict[str, Any]] = {
    "sessions": {"ping_timeout_seconds": 600, "turn_timeout_seconds": 600},
    "supervision": {"backoff_max_seconds": 30},
}
"""So that the hog may spin for a whole round; restarts are at their defaults."""
_MOST_DEATHS = 5
"""Within a minute, by default; after the next one a service is tried again at the longest back-off only."""


@dataclass(frozen=True)
class Deaths:
    """How soon after each death of a process messages were taken again, in seconds."""

    who: str
    seconds: list[float]
    target_s: float

    @property
    def reached(self) -> bool:
        return max(self.seconds) <= self.target_s


@dataclass(frozen=True)
class Beside:
    """The p95 of others' answers in seconds, round by round: beside a hog inside and one outside."""

    what: str
    inside_s: list[float]
    outside_s: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds'."""
        return median(inside / outside for inside, outside in zip(self.inside_s, self.outside_s, strict=True))

    @property
    def reached(self) -> bool:
        return self.ratio <= BESIDE


@dataclass
class Targets:
    """What came of it."""

    deaths: list[Deaths] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        return all(each.reached for each in self.beside) and all(each.reached for each in self.deaths)


async def measure(
    directory: Path, *, rounds: int, sessions: int, seconds: float, log: Callable[[str], object]
) -> Targets:
    """Measure on gateways of its own.

    Args:
        directory: an empty one.
        rounds: pairs of rounds, and deaths of each process, of which there are at most five.
        sessions: others, who talk meanwhile.
        seconds: of a round.
    """
    found = Targets()
    async with _gateway(directory / "beside") as gateway:
        for what, trouble in (("spins", _spinning), ("crashes again and again", _crashing)):
            beside = await _beside(gateway, what, trouble, rounds, sessions, seconds)
            found.beside.append(beside)
            log(f"a session {what}: others are {beside.ratio:.2f} times as slow as beside a hog outside")
    for who in (*_SERVICES, *_ROOTS):
        async with _gateway(directory / who) as gateway:  # none has a back-off from another one's deaths
            times = [await _death(gateway, who, number) for number in range(min(rounds, _MOST_DEATHS))]
        found.deaths.append(Deaths(who, times, ROOT_S if who in _ROOTS else SERVICE_S))
        log(f"{who} died: messages were taken again after {', '.join(f'{each:.2f}' for each in times)} s")
    return found


@asynccontextmanager
async def _gateway(directory: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(_made(directory), config=_CONFIG)
    running = asyncio.ensure_future(gateway.keep_running())
    try:
        await gateway.until_ready()
        yield gateway
    finally:
        await gateway.stop()
        running.cancel()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def _death(gateway: Gateway, who: str, number: int) -> float:
    """The later of a conversation that lived and of a new one."""
    await _accepted(gateway.url, _LIVE, f"before-{who}-{number}")
    await asyncio.sleep(_QUIET_S)
    pid = gateway.pid if who == "start" else named(gateway.processes(), who)[0]
    hit(pid, signal.SIGKILL)
    began = time.monotonic()
    ends = await asyncio.gather(
        _accepted(gateway.url, _LIVE, f"after-{who}-{number}"),
        _accepted(gateway.url, f"new-{who}-{number}", f"after-{who}-{number}"),
    )
    return max(ends) - began


async def _accepted(url: str, session: str, message_id: str) -> float:
    """Says something until it has its receipt; returns when that came, monotonic seconds."""
    words = {"type": "user_message", "sessionId": session, "text": "say it", "messageId": message_id}
    async with asyncio.timeout(_ACCEPTED_WITHIN_S):
        while True:
            try:
                async with _talking(url) as connection:
                    while not await _receipt(connection, json.dumps(words)):
                        pass
                    return time.monotonic()
            except (OSError, WebSocketException, EOFError):
                await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def _talking(url: str) -> AsyncIterator[ClientConnection]:
    connection = await connect(
        url,
        subprotocols=[Subprotocol("openclaw.v2")],
        open_timeout=_SEND_AGAIN_S,
        close_timeout=1,
        proxy=None,
    )
    try:
        yield connection
    finally:
        connection.transport.abort()


async def _receipt(connection: ClientConnection, words: str) -> bool:
    await connection.send(words)
    try:
        async with asyncio.timeout(_SEND_AGAIN_S):
            while json.loads(await connection.recv())["type"] != "message_accepted":
                pass
    except TimeoutError:
        return False
    return True


Trouble = Callable[[str], Any]
"""Asynchronous context: a conversation is in trouble meanwhile."""


async def _beside(
    gateway: Gateway, what: str, trouble: Trouble, rounds: int, sessions: int, seconds: float
) -> Beside:
    found = Beside(what, [], [])
    dice = random.Random(sessions)
    await _p95(gateway.url, sessions, 1.0, dice)
    for _ in range(rounds):
        async with _outside():
            found.outside_s.append(await _p95(gateway.url, sessions, seconds, dice))
        async with trouble(gateway.url):
            found.inside_s.append(await _p95(gateway.url, sessions, seconds, dice))
    return found


@asynccontextmanager
async def _outside() -> AsyncIterator[None]:
    spinning = (sys.executable, "-c", "while True: pass")
    # A session of its own, as each conversation's process has: the kernel shares processors among these first.
    process = await asyncio.create_subprocess_exec(*spinning, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _spinning(url: str) -> AsyncIterator[None]:
    async with _talking(url) as connection:
        await connection.send(json.dumps(_asking("/demo spin")))
        await _until(connection, "tool_start", "turn_started")
        yield
        await connection.send(json.dumps({"type": "stop", "sessionId": _HOG}))
        await _until(connection, "turn_done")


@asynccontextmanager
async def _crashing(url: str) -> AsyncIterator[None]:
    """As soon as a message has killed its conversation often enough to be given up, the next one does."""

    async def crash(connection: ClientConnection) -> None:
        while True:
            await connection.send(json.dumps(_asking("/demo crash")))
            await _until(connection, "turn_done", "error")

    async with _talking(url) as connection:
        crashing = asyncio.ensure_future(crash(connection))
        try:
            yield
        finally:
            crashing.cancel()
            await asyncio.gather(crashing, return_exceptions=True)


def _asking(text: str) -> dict[str, str]:
    return {"type": "user_message", "sessionId": _HOG, "text": text}


async def _until(connection: ClientConnection, *types: str) -> None:
    async with asyncio.timeout(_ANSWERED_WITHIN_S):
        while json.loads(await connection.recv())["type"] not in types:
            pass


async def _p95(url: str, sessions: int, seconds: float, dice: random.Random) -> float:
    """Of the answers of so many people, each of whom says something four times a second on average."""
    took: list[float] = []
    await asyncio.gather(
        *(
            _person(url, f"other-{number}", seconds, random.Random(dice.random()), took)
            for number in range(sessions)
        )
    )
    return sorted(took)[int(0.95 * len(took))]


async def _person(url: str, session: str, seconds: float, dice: random.Random, took: list[float]) -> None:
    async with _talking(url) as connection:
        end = time.monotonic() + seconds
        for number in itertools.count():
            await asyncio.sleep(dice.uniform(0.0, 0.5))
            if time.monotonic() >= end:
                return
            words = {"type": "user_message", "sessionId": session, "text": f"say {number}"}
            began = time.monotonic()
            await connection.send(json.dumps(words))
            await _until(connection, "turn_done")
            took.append(time.monotonic() - began)
