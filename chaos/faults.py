"""The faults of a campaign: what can go wrong, to whom it is done, and how often."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from chaos.client import Talker
from chaos.gateway import Gateway
from chaos.processes import hit, named
from chaos.provider import MODES
from chaos.trouble import few_descriptors

__all__ = ["FAULTS", "GROUPS", "Scene", "commit", "faults_named"]

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


async def _flood(scene: Scene) -> str:
    """More than anybody reads: no receipt is waited for, and no answer is read."""
    count = scene.dice.randint(200, 1000)
    words = {"type": "user_message", "sessionId": f"flood-{scene.dice.randrange(4)}", "text": "x" * 500}
    try:
        async with (
            asyncio.timeout(5),
            connect(scene.gateway.url, subprotocols=[Subprotocol("openclaw.v2")], proxy=None) as connection,
        ):
            for _ in range(count):
                await connection.send(json.dumps(words))
            connection.transport.abort()
    except (OSError, TimeoutError, WebSocketException, EOFError):
        return "a flood, which was cut off"
    return f"a flood of {count} messages, and nobody to hear the answers"


async def _fragments(scene: Scene) -> str:
    """A message in frames of one character each, which never ends."""

    async def pieces() -> AsyncIterator[str]:
        for piece in '{"type":"user_message","sessionId":"fragments","text":"' + "y" * 2000:
            yield piece
        connection.transport.abort()

    try:
        async with (
            asyncio.timeout(5),
            connect(scene.gateway.url, subprotocols=[Subprotocol("openclaw.v2")], proxy=None) as connection,
        ):
            await connection.send(pieces())
    except (OSError, TimeoutError, WebSocketException, EOFError):
        pass  # as it should be
    return "two thousand frames of one character, and no end"


def _descriptors(name: str) -> Fault:
    async def strike(scene: Scene) -> str:
        pids = named(scene.gateway.processes(), name)
        if not pids:
            return f"nobody is called {name}"
        seconds = scene.dice.uniform(0.5, 2.0)
        try:
            with few_descriptors(pids[0]) as count:
                await asyncio.sleep(seconds)
        except OSError as error:
            return f"the limit of {name} could not be set: {error}"
        return f"{name} had no more than {count} descriptors for {seconds:.1f} s"

    return strike


def _provider(mode: str) -> Fault:
    async def strike(scene: Scene) -> str:
        assert scene.gateway.provider is not None
        count = scene.dice.randint(1, 3)
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
    "flood": (1, _flood),
    "fragments": (1, _fragments),
    **{f"descriptors-{name}": (1, _descriptors(name)) for name in SERVICES},
    **{f"provider-{mode}": (2, _provider(mode)) for mode in MODES},
    "disk-full": (2, _full),
    "disk-readonly": (2, _disk("could only be read", code=errno.EROFS, fail=100)),
    "disk-errors": (2, _disk("had errors", fail=30)),
    "disk-short": (2, _disk("took the half of it", fail=0, short=60)),
    "disk-slow": (2, _disk("was slow", slow_ms=100)),
}
"""By name: how often, relative to the others, and what."""

GROUPS = ("provider", "disk")
"""Of faults, by how their names begin. They have to be asked for: each wants a gateway of its own kind."""


def faults_named(names: Sequence[str]) -> tuple[str, ...]:
    """Those with these names, or in these groups; without a name all that any gateway can be done."""
    if not names:
        return tuple(name for name in FAULTS if name.partition("-")[0] not in GROUPS)
    return tuple(name for name in FAULTS if name in names or name.partition("-")[0] in names)


async def commit(name: str, scene: Scene) -> str:
    """Do one fault; returns what was done."""
    return await FAULTS[name][1](scene)
