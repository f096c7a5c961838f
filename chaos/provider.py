"""A provider that speaks the OpenAI format and behaves as badly as it is told; runs as a process of its own.

    python -m chaos.provider PORT

It answers `echo: ` and what was said, word by word. A line `MODE COUNT` on its standard input has its next COUNT
answers go wrong. A line of JSON on its standard output tells of each message that may have no good answer then.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable

__all__ = ["MODES", "Answering"]

_STALL_S = 2.0
_MAX_BODY_BYTES = 64 * 1024 * 1024
_WORDS_ONE_BY_ONE = 16


class Answering:
    """One request, and the ways to answer it."""

    def __init__(self, writer: asyncio.StreamWriter, question: str) -> None:
        self._writer = writer
        words = f"echo: {question}".split(" ")
        self._pieces = [word if index == 0 else f" {word}" for index, word in enumerate(words)]

    async def well(self) -> None:
        """As it should be."""
        await self._head(200, "text/event-stream")
        for index, piece in enumerate(self._pieces):
            await self._say(piece)
            if index < _WORDS_ONE_BY_ONE:
                await asyncio.sleep(0.002)
        await self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await self._chunk(b"data: [DONE]\n\n")
        await self._chunk(b"")

    async def reset(self) -> None:
        """The connection is reset."""
        # A linger of zero makes the kernel send a reset.
        connection = self._writer.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._writer.transport.abort()

    async def stall(self) -> None:
        """Nothing for a while, and then it hangs up."""
        await asyncio.sleep(_STALL_S)
        self._writer.close()

    async def garbage(self) -> None:
        """A page of a proxy, with status 200."""
        await self._whole(200, "text/html", b"<html><body>Welcome to the hotel's network</body></html>")

    async def half(self) -> None:
        """A part of the answer, and the end of the connection."""
        await self._head(200, "text/event-stream")
        for piece in self._pieces[: max(1, len(self._pieces) // 2)]:
            await self._say(piece)
        self._writer.close()

    async def unended(self) -> None:
        """A part of the answer, and a body that ends in order, as a proxy sends it whose server has died."""
        await self._head(200, "text/event-stream")
        for piece in self._pieces[: max(1, len(self._pieces) // 2)]:
            await self._say(piece)
        await self._chunk(b"")

    async def busy(self) -> None:
        """429 with Retry-After."""
        await self._whole(429, "application/json", b'{"error":{"message":"slow down"}}', "Retry-After: 1")

    async def failing(self) -> None:
        """503."""
        await self._whole(503, "text/plain", b"upstream connect error")

    async def _whole(self, status: int, kind: str, body: bytes, *more: str) -> None:
        head = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
        await self._send("\r\n".join([*head, "", ""]).encode() + body)

    async def _head(self, status: int, kind: str) -> None:
        await self._send(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

    async def _say(self, piece: str) -> None:
        await self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})

    async def _event(self, event: object) -> None:
        await self._chunk(f"data: {json.dumps(event)}\n\n".encode())

    async def _chunk(self, data: bytes) -> None:
        await self._send(b"%x\r\n%s\r\n" % (len(data), data))

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


_WAYS: dict[str, Callable[[Answering], Awaitable[None]]] = {
    "reset": Answering.reset,
    "stall": Answering.stall,
    "garbage": Answering.garbage,
    "half": Answering.half,
    "unended": Answering.unended,
    "busy": Answering.busy,
    "failing": Answering.failing,
}
MODES = (*_WAYS, "refuse")
"""`refuse`: for COUNT seconds nobody listens."""
_SPOILING = frozenset(("garbage", "half", "unended"))
"""Asking again in the same call is no use, or not allowed."""


class _Provider:
    def __init__(self, port: int) -> None:
        self._port = port
        self._next: deque[str] = deque(maxlen=100)
        self._server: asyncio.Server | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        orders = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        await self._listen()
        _tell({"ready": True})
        while line := (await orders.readline()).decode().split():
            mode, count = line[0], int(line[1])
            if mode == "refuse":
                await self._refuse(count)
            else:
                self._next.extend([mode] * count)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=1 << 20)

    async def _refuse(self, seconds: float) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(seconds)
        await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while question := await _question(reader):
                mode = self._next.popleft() if self._next else ""
                if mode in _SPOILING:
                    _tell({"spoiled": question})
                answering = Answering(writer, question)
                await (_WAYS[mode](answering) if mode else answering.well())
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # the gateway hung up
        finally:
            writer.close()


async def _question(reader: asyncio.StreamReader) -> str:
    """What was said last; empty at the connection's end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    except asyncio.IncompleteReadError:
        return ""
    _, _, rest = head.partition("content-length:")
    length = int(rest.split("\r\n")[0])
    body = json.loads(await reader.readexactly(min(length, _MAX_BODY_BYTES)))
    return str([each["content"] for each in body["messages"] if each["role"] == "user"][-1])


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_Provider(int(sys.argv[1])).run())
