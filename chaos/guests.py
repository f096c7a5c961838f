"""Faults that come from outside: clients that vanish, read nothing, flood, never end, or speak garbage."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from chaos.scene import Fault, Scene

__all__ = ["GUESTS"]

_V2 = Subprotocol("openclaw.v2")
_GIVES_UP_S = 5.0
_LONG_ANSWERS = 12
_TOKENS = 20_000
_GARBAGE = (
    b"\x00" * 64,
    b"GET /ws HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000,
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{",
    b"POST /api/retention/run HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
_NONSENSE: tuple[str | bytes, ...] = (
    "{",
    "[" * 5_000,
    '{"type":17}',
    '{"type":"user_message"}',
    '{"type":"user_message","sessionId":"\\u0000","text":"x"}',
    '{"type":"user_message","sessionId":"nonsense","text":"x","messageId":"' + "y" * 10_000 + '"}',
    '{"type":"user_message","sessionId":"nonsense","text":"\\ud800"}',
    '{"type":"resume","sessionId":"nonsense","lastSeq":1e400}',
    '{"type":"resume","sessionId":"nonsense","lastSeq":-99999999999999999999}',
    '{"type":"tool_approval_decision","approvalId":{},"approved":"yes"}',
    '{"type":"stop","sessionId":"' + "z" * 500 + '"}',
    "null",
    "",
    b"\x80\x81\x82",
    "x" * 3_000_000,
)


async def _cut(scene: Scene) -> str:
    talker = scene.dice.choice(list(scene.talkers))
    talker.cut()
    return f"cut off {talker.conversation.id}"


async def _vanish(scene: Scene) -> str:
    """Somebody says something and is gone before the receipt; others cannot know whether it was taken."""
    talker = scene.dice.choice(list(scene.talkers))
    away_s = scene.dice.uniform(0.5, 4.0)
    await talker.say(f"say {talker.conversation.id} vanished {scene.dice.randrange(10**9)}")
    talker.leave(away_s)
    return f"{talker.conversation.id} said something and was away for {away_s:.1f} s"


async def _stall(scene: Scene) -> str:
    talker = scene.dice.choice(list(scene.talkers))
    await talker.stall(scene.dice.uniform(0.5, 2.0))
    return f"{talker.conversation.id} read nothing for a while"


async def _deaf(scene: Scene) -> str:
    """Long answers for somebody who reads not one byte, with a small window; the gateway is to hang up."""
    session = f"deaf-{scene.dice.randrange(3)}"
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_GIVES_UP_S):
            await loop.sock_connect(connected, ("127.0.0.1", scene.gateway.ports[0]))
            connection = await connect(
                scene.gateway.url, sock=connected, subprotocols=[_V2], max_queue=1, ping_interval=None
            )
            connection.transport.pause_reading()
            for _ in range(_LONG_ANSWERS):
                words = {"type": "user_message", "sessionId": session, "text": f"/demo tokens {_TOKENS}"}
                await connection.send(json.dumps(words))
            await asyncio.sleep(scene.dice.uniform(1.0, 3.0))
            connection.transport.abort()
    except (OSError, TimeoutError, WebSocketException, EOFError):
        return "long answers for somebody who reads nothing, who was cut off"
    finally:
        connected.close()
    return "long answers for somebody who read nothing"


async def _garbage(scene: Scene) -> str:
    port = scene.dice.choice(scene.gateway.ports)
    what = scene.dice.choice(_GARBAGE)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(what)
        await writer.drain()
        await asyncio.sleep(scene.dice.uniform(0.0, 0.3))
        writer.transport.abort()
    except OSError:
        return "garbage, and nobody listened"
    return f"garbage on port {port}: {what[:20]!r}"


async def _nonsense(scene: Scene) -> str:
    """Frames that mean nothing, in each of the dialects."""
    spoken = scene.dice.sample(_NONSENSE, len(_NONSENSE))
    dialect = scene.dice.choice(([_V2], None))
    said = 0
    for words in spoken:
        try:
            async with (
                asyncio.timeout(_GIVES_UP_S),
                connect(scene.gateway.url, subprotocols=dialect, proxy=None) as connection,
            ):
                await connection.send(words)
                said += 1
                await asyncio.wait_for(connection.recv(), 0.2)
        except (OSError, TimeoutError, WebSocketException, EOFError):
            continue  # as it should be, or nobody is there
    return f"{said} frames of nonsense"


async def _flood(scene: Scene) -> str:
    """More than anybody reads: no receipt is waited for, and no answer is read."""
    count = scene.dice.randint(200, 1000)
    words = {"type": "user_message", "sessionId": f"flood-{scene.dice.randrange(4)}", "text": "x" * 500}
    try:
        async with (
            asyncio.timeout(_GIVES_UP_S),
            connect(scene.gateway.url, subprotocols=[_V2], proxy=None) as connection,
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
            asyncio.timeout(_GIVES_UP_S),
            connect(scene.gateway.url, subprotocols=[_V2], proxy=None) as connection,
        ):
            await connection.send(pieces())
    except (OSError, TimeoutError, WebSocketException, EOFError):
        pass  # as it should be
    return "two thousand frames of one character, and no end"


GUESTS: dict[str, tuple[int, Fault]] = {
    "cut": (6, _cut),
    "vanish": (3, _vanish),
    "stall": (3, _stall),
    "deaf": (1, _deaf),
    "garbage": (2, _garbage),
    "nonsense": (1, _nonsense),
    "flood": (1, _flood),
    "fragments": (1, _fragments),
}
