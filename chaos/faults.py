"""The faults of a campaign: what can go wrong, to whom it is done, and how often."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chaos.client import Talker
from chaos.gateway import Gateway
from chaos.processes import hit, named

__all__ = ["FAULTS", "Scene", "commit"]

SERVICES = ("PersistenceActo", "ModelActor", "SessionRouter", "WebSocketChanne", "HttpChannel")
SESSION = "SessionActor"
_GARBAGE = (
    b"\x00" * 64,
    b"GET /ws HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000,
)


@dataclass
class Scene:
    """Whom faults may befall."""

    gateway: Gateway
    talkers: Sequence[Talker]
    dice: random.Random


Fault = Callable[[Scene], Awaitable[str]]
"""Does it, and says what was done."""


def _signal(name: str, number: signal.Signals) -> Fault:
    async def strike(scene: Scene) -> str:
        pids = named(scene.gateway.processes(), name)
        if not pids:
            return f"nobody is called {name}"
        pid = scene.dice.choice(sorted(pids))
        hit(pid, number)
        return f"{number.name} to {name} {pid}"

    return strike


async def _kill_root(scene: Scene) -> str:
    """`start` itself: everything dies, and the next start continues."""
    pid = scene.gateway.pid
    if not pid:
        return "no start to kill"
    hit(pid, signal.SIGKILL)
    return f"SIGKILL to start {pid}"


async def _terminate_group(scene: Scene) -> str:
    """As a service manager does it: SIGTERM to every process."""
    processes = scene.gateway.processes()
    for pid in processes:
        hit(pid, signal.SIGTERM)
    return f"SIGTERM to all {len(processes)}"


async def _cut(scene: Scene) -> str:
    talker = scene.dice.choice(list(scene.talkers))
    talker.cut()
    return f"cut off {talker.conversation.id}"


async def _stall(scene: Scene) -> str:
    talker = scene.dice.choice(list(scene.talkers))
    await talker.stall(scene.dice.uniform(0.5, 2.0))
    return f"{talker.conversation.id} read nothing for a while"


async def _garbage(scene: Scene) -> str:
    host, port = "127.0.0.1", int(scene.gateway.url.rpartition(":")[2].partition("/")[0])
    try:
        _, writer = await asyncio.open_connection(host, port)
        writer.write(scene.dice.choice(_GARBAGE))
        await writer.drain()
        writer.transport.abort()
    except OSError:
        return "garbage, and nobody listened"
    return "garbage on the WebSocket's port"


FAULTS: dict[str, tuple[int, Fault]] = {
    **{f"kill-{name}": (3, _signal(name, signal.SIGKILL)) for name in SERVICES},
    **{f"stop-{name}": (1, _signal(name, signal.SIGSTOP)) for name in SERVICES},
    "kill-session": (8, _signal(SESSION, signal.SIGKILL)),
    "stop-session": (3, _signal(SESSION, signal.SIGSTOP)),
    "term-session": (2, _signal(SESSION, signal.SIGTERM)),
    "kill-supervisor": (1, _signal("Supervisor", signal.SIGKILL)),
    "kill-admin": (1, _signal("admin", signal.SIGKILL)),
    "kill-start": (1, _kill_root),
    "term-all": (1, _terminate_group),
    "cut": (8, _cut),
    "stall": (4, _stall),
    "garbage": (2, _garbage),
}
"""By name: how often, relative to the others, and what."""


async def commit(name: str, scene: Scene) -> str:
    """Do one fault; returns what was done."""
    return await FAULTS[name][1](scene)
