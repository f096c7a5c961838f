"""A model server for measurements: it takes a request of any size and answers at once. Run as a process of its own.

    python -m benchmarks.model_server

It speaks the streaming format of OpenAI's API. Says its port on standard output; a line on its standard input is
answered by one of JSON: how many requests there were since the last one, and how many bytes their bodies had.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

__all__ = ["main"]

_PIECES = ("Of course: ", "here is ", "the answer.")
_MAX_HEAD_BYTES = 65_536


def _events() -> bytes:
    lines = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in _PIECES]
    end = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7_500, "completion_tokens": 8, "total_tokens": 7_508},
    }
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in [*lines, end]) + "data: [DONE]\n\n"
    data = body.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n"


_ANSWER = _events()


class _Seen:
    requests = 0
    body_bytes = 0


class _Connection(asyncio.Protocol):
    """One connection, kept alive; a request is answered when the last byte of its body is there."""

    def __init__(self, seen: _Seen) -> None:
        self._seen = seen
        self._buffer = bytearray()
        self._wanted = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take():
            self._transport.write(_ANSWER)

    def _take(self) -> bool:
        """Whether one more request is complete."""
        if not self._wanted:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _MAX_HEAD_BYTES:
                    self._transport.abort()
                return False
            self._wanted = end + 4 + _length(bytes(self._buffer[:end]))
            self._seen.body_bytes += self._wanted - end - 4
        if len(self._buffer) < self._wanted:
            return False
        del self._buffer[: self._wanted]
        self._wanted = 0
        self._seen.requests += 1
        return True


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _serve() -> None:
    seen = _Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(seen), "127.0.0.1", 0)
    _say(str(server.sockets[0].getsockname()[1]))
    while await loop.run_in_executor(None, sys.stdin.readline):
        used = resource.getrusage(resource.RUSAGE_SELF)
        _say(
            json.dumps(
                {
                    "requests": seen.requests,
                    "body_bytes": seen.body_bytes,
                    "cpu_s": used.ru_utime + used.ru_stime,
                }
            )
        )
        seen.requests = seen.body_bytes = 0
    server.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serves until its standard input ends."""
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
