"""Owns a fake provider: an HTTP server on a port of its own that says, byte by byte, what a test wants."""

from __future__ import annotations

__all__ = ["Exchange", "FakeProvider", "Script"]

import asyncio
import json
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeAlias

DEADLINE_S = 30.0


class Exchange:
    """One request, and the means to answer it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        line: str,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        self.method, self.path, _ = line.split(" ")
        self.headers = headers
        self.body = body
        self.ended = False
        """The answer was finished in order: the connection can take another request."""
        self._reader = reader
        self._writer = writer
        self._chunked = False

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def question(self) -> str:
        """The last thing that the user said."""
        said = [message["content"] for message in self.json["messages"] if message["role"] == "user"]
        return str(said[-1])

    async def bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, *, chunked: bool = True, **headers: str) -> None:
        """Begin the answer. Header names are written with `_` for `-`."""
        self._chunked = chunked
        given = {"content_type": "text/event-stream", **headers}
        if chunked:
            given["transfer_encoding"] = "chunked"
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
        await self.bytes("\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode())

    async def send(self, data: bytes | str) -> None:
        """Send a piece of the body."""
        data = data.encode() if isinstance(data, str) else data
        await self.bytes(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    async def event(self, value: Any) -> None:
        await self.send(f"data: {json.dumps(value, ensure_ascii=False)}\n\n")

    async def say(self, text: str) -> None:
        await self.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    async def finish(self, reason: str = "stop", *, usage: dict[str, int] | None = None) -> None:
        """End a stream as it should end."""
        await self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage is not None:
            await self.event({"choices": [], "usage": usage})
        await self.send("data: [DONE]\n\n")
        await self.end()

    async def end(self) -> None:
        """End the body."""
        if self._chunked:
            await self.bytes(b"0\r\n\r\n")
        self.ended = self._chunked

    async def answer(self, *texts: str, usage: dict[str, int] | None = None) -> None:
        """Answer as a provider in good health does."""
        await self.head()
        for text in texts:
            await self.say(text)
        await self.finish(usage=usage)

    async def refuse(self, status: int, body: Any = None, **headers: str) -> None:
        """Answer with a status, and an error that is JSON or a text."""
        data = (body if isinstance(body, str) else json.dumps(body or {})).encode()
        await self.head(
            status, chunked=False, content_type="text/html", content_length=str(len(data)), **headers
        )
        await self.send(data)
        self.ended = True

    async def hung_up(self) -> None:
        """Wait until the client has closed the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                await self._reader.read()
            except ConnectionError:
                pass  # not even a goodbye

    def reset(self) -> None:
        """Break the connection off."""
        # SO_LINGER of zero makes the kernel send a reset.
        self._writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        self._writer.transport.abort()


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


async def _answer(exchange: Exchange) -> None:
    await exchange.answer("echo: ", exchange.question, usage={"prompt_tokens": 3, "completion_tokens": 5})


class FakeProvider:
    """Serves while it is entered; its port is open, and stays the same, from the beginning.

    Each request takes the next of `scripts`, and `default` when there is none.
    """

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self.scripts = deque(scripts)
        self.default: Script = _answer
        self.requests: list[Exchange] = []
        self.connections = 0
        self._context = context
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> FakeProvider:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, ssl=self._context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def arrived(self, count: int) -> Exchange:
        """Wait for request number `count`, and return it."""
        async with asyncio.timeout(DEADLINE_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while exchange := await self._next(reader, writer):
                script = self.scripts.popleft() if self.scripts else self.default
                await script(exchange)
                if not exchange.ended:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away: what a test may want
        except asyncio.CancelledError:
            pass  # the test is over; asyncio's server would report the cancellation
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        line, *lines = head.decode("latin-1").strip().split("\r\n")
        pairs = (each.partition(":") for each in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        exchange = Exchange(reader, writer, line, headers, body)
        async with self._arrived:
            self.requests.append(exchange)
            self._arrived.notify_all()
        return exchange
