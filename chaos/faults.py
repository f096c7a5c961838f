"""The faults of a campaign: what can go wrong, to whom it is done, and how often."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from chaos.guests import GUESTS
from chaos.operating import OPERATING
from chaos.processes import hit
from chaos.provider import MODES
from chaos.scene import Fault, Scene
from chaos.trouble import few_descriptors, few_processes

__all__ = ["FAULTS", "GROUPS", "commit", "faults_named"]

SERVICES = ("PersistenceActo", "ModelActor", "SessionRouter", "WebSocketChanne", "HttpChannel")
SESSION = "SessionActor"
ABOVE = ("Supervisor", "admin")
_BELOW = {"SessionRouter": SESSION, "Supervisor": "PersistenceActo", "start": "Supervisor"}
"""Whom a process has to begin again if they end; at its limit it cannot."""
_JUMPS_S = (-400 * 86_400.0, -86_400.0, -3_600.0, -7.0, -0.5, 0.5, 7.0, 3_600.0, 86_400.0, 400 * 86_400.0)
_MOST_SHIFTED_S = 1_000 * 86_400.0


def _signal(name: str, number: signal.Signals) -> Fault:
    async def strike(scene: Scene) -> str:
        pid = scene.one_of(name)
        if pid is None:
            return f"nobody is called {name}"
        hit(pid, number)
        return f"{number.name} to {name} {pid}"

    return strike


async def _stop_root(scene: Scene) -> str:
    """`start` does nothing for a while; nobody watches it, so it has to be told to go on."""
    seconds = scene.dice.uniform(0.5, 5.0)
    pid = scene.one_of("start")
    if pid is None:
        return "nobody is called start"
    hit(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        hit(pid, signal.SIGCONT)
    return f"start {pid} was stopped for {seconds:.1f} s"


async def _terminate_group(scene: Scene) -> str:
    """As a service manager does it: SIGTERM to every process."""
    processes = scene.gateway.processes()
    for pid in processes:
        hit(pid, signal.SIGTERM)
    return f"SIGTERM to all {len(processes)}"


def _limit(name: str, what: str, few: Callable[[int, Sequence[str]], AbstractContextManager[None]]) -> Fault:
    async def strike(scene: Scene) -> str:
        seconds, hits = scene.dice.uniform(0.5, 2.0), scene.dice.random() < 0.5
        if what == "processes" and not scene.gateway.bound_by_limits:
            return "left out: root is not bound by this limit, and no other user can run the gateway here"
        pid = scene.one_of(name)
        if pid is None:
            return f"nobody is called {name}"
        try:
            with few(pid, scene.gateway.words):
                below = scene.one_of(_BELOW[name]) if hits and name in _BELOW else None
                if below is not None:
                    hit(below, signal.SIGKILL)
                await asyncio.sleep(seconds)
        except OSError as error:
            return f"the limit of {name} could not be set: {error}"
        lost = f", and {_BELOW[name]} {below} was killed" if below is not None else ""
        return f"{name} {pid} could have no further {what} for {seconds:.1f} s{lost}"

    return strike


async def _clock_of_all(scene: Scene) -> str:
    """The clock is set, and stays so."""
    jump_s = scene.dice.choice(_JUMPS_S)
    clock = scene.gateway.clock
    assert clock is not None
    if clock.missing:
        return f"left out: {clock.missing}"
    if abs(clock.shift_s + jump_s) > _MOST_SHIFTED_S:
        jump_s = -jump_s
    clock.shift(jump_s)
    return f"the clock was set by {jump_s:+g} s; it is {clock.shift_s:+g} s from the true time"


async def _clock_there_and_back(scene: Scene) -> str:
    jump_s, seconds = scene.dice.choice(_JUMPS_S), scene.dice.uniform(0.3, 2.0)
    clock = scene.gateway.clock
    assert clock is not None
    if clock.missing:
        return f"left out: {clock.missing}"
    with clock.shifted(jump_s):
        await asyncio.sleep(seconds)
    return f"the clock went {jump_s:+g} s for {seconds:.1f} s"


async def _clock_of_one(scene: Scene) -> str:
    """Nothing like it happens on one machine; whoever trusts two processes to agree on the time is found out."""
    jump_s, seconds = scene.dice.choice(_JUMPS_S), scene.dice.uniform(0.3, 2.0)
    name = scene.dice.choice((*SERVICES, SESSION, *ABOVE, "start"))
    clock, pid = scene.gateway.clock, scene.one_of(name)
    assert clock is not None
    if clock.missing or pid is None:
        return f"left out: {clock.missing or f'nobody is called {name}'}"
    with clock.shifted(jump_s, pid):
        await asyncio.sleep(seconds)
    return f"the clock of {name} {pid} went {jump_s:+g} s for {seconds:.1f} s"


def _provider(mode: str) -> Fault:
    async def strike(scene: Scene) -> str:
        assert scene.gateway.provider is not None
        count = scene.dice.randint(1, 2 if mode == "refuse" else 5)
        await scene.gateway.provider.behave(mode, count)
        return f"the provider: {mode}, {count} times"

    return strike


async def _full(scene: Scene) -> str:
    assert scene.gateway.disk is not None
    if scene.gateway.disk.missing:
        return f"left out: {scene.gateway.disk.missing}"
    seconds = scene.dice.uniform(0.3, 3.0)
    with scene.gateway.disk.full():
        await asyncio.sleep(seconds)
    return f"the disk was full for {seconds:.1f} s"


def _disk(what: str, *, code: int = errno.EIO, fail: int = 0, short: int = 0, slow_ms: int = 0) -> Fault:
    async def strike(scene: Scene) -> str:
        layer = scene.gateway.layer
        assert layer is not None
        if layer.missing:
            return f"left out: {layer.missing}"
        seconds = scene.dice.uniform(0.3, 3.0)
        with layer.troubled(code=code, fail=fail, short=short, slow_ms=slow_ms):
            await asyncio.sleep(seconds)
        return f"the disk {what} for {seconds:.1f} s"

    return strike


FAULTS: dict[str, tuple[int, Fault]] = {
    **{f"kill-{name}": (3, _signal(name, signal.SIGKILL)) for name in SERVICES},
    **{f"stop-{name}": (1, _signal(name, signal.SIGSTOP)) for name in (*SERVICES, *ABOVE)},
    **{f"term-{name}": (1, _signal(name, signal.SIGTERM)) for name in (*SERVICES, *ABOVE)},
    "kill-session": (8, _signal(SESSION, signal.SIGKILL)),
    "stop-session": (3, _signal(SESSION, signal.SIGSTOP)),
    "term-session": (2, _signal(SESSION, signal.SIGTERM)),
    **{f"kill-{name}": (1, _signal(name, signal.SIGKILL)) for name in (*ABOVE, "start")},
    "stop-start": (1, _stop_root),
    "term-start": (1, _signal("start", signal.SIGTERM)),
    "term-all": (1, _terminate_group),
    **GUESTS,
    **OPERATING,
    "clock-all": (2, _clock_of_all),
    "clock-there-and-back": (2, _clock_there_and_back),
    "clock-one": (2, _clock_of_one),
    **{
        f"descriptors-{name}": (1, _limit(name, "descriptors", few_descriptors))
        for name in (*SERVICES, SESSION, *ABOVE, "start")
    },
    **{
        f"processes-{name}": (1, _limit(name, "processes", few_processes))
        for name in ("PersistenceActo", "ModelActor", "SessionRouter", SESSION, *ABOVE, "start")
    },
    **{f"provider-{mode}": (2, _provider(mode)) for mode in MODES},
    "disk-full": (2, _full),
    "disk-readonly": (2, _disk("could only be read", code=errno.EROFS, fail=100)),
    "disk-errors": (2, _disk("had errors", fail=30)),
    "disk-short": (2, _disk("took the half of it", fail=0, short=60)),
    "disk-slow": (2, _disk("was slow", slow_ms=100)),
}
"""By name: how often, relative to the others, and what."""

GROUPS = ("provider", "disk", "clock", "processes", "descriptors", "operator", "kill", "stop", "term")
"""Of faults, by how their names begin."""

_ASKED_FOR = ("provider", "disk")
"""These groups have to be asked for: each wants a gateway of its own kind."""


def faults_named(names: Sequence[str]) -> tuple[str, ...]:
    """Those with these names, or in these groups; without a name all that any gateway can be done."""
    if not names:
        return tuple(name for name in FAULTS if name.partition("-")[0] not in _ASKED_FOR)
    return tuple(name for name in FAULTS if name in names or name.partition("-")[0] in names)


async def commit(name: str, scene: Scene) -> str:
    """Do one fault; returns what was done."""
    return await FAULTS[name][1](scene)
