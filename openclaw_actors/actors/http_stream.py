"""Owns one stream of server-sent events to an HTTP client: when it begins, how it shows life, when it is cut off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from typing import TypeVar

from aiohttp import web

__all__ = ["ClientGone", "EventStream", "is_gone", "with_silences"]

_T = TypeVar("_T")

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would gather the pieces
}


class ClientGone(Exception):
    """Raised when there is nobody to answer any more: the client left, or took nothing for too long."""


def is_gone(request: web.Request) -> bool:
    """Whether the client has closed its connection."""
    return request.transport is None or request.transport.is_closing()


async def with_silences(source: AsyncGenerator[_T], every_s: float) -> AsyncGenerator[_T | None]:
    """What the source yields, and None each time that it has said nothing for `every_s` seconds."""
    waiting: asyncio.Future[_T] | None = None
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(anext(source))
            await asyncio.wait((waiting,), timeout=every_s)
            if not waiting.done():
                yield None
                continue
            done, waiting = waiting, None
            try:
                item = done.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
            if not waiting.cancelled():
                waiting.exception()  # nobody is there to hear it any more
        await source.aclose()


class EventStream:
    """A response of server-sent events. It begins with its first event: until then an error can still be a status.

    Args:
        request: what is answered.
        opening: stands before the first event.
        keep_alive: what an idle stream shows.
        keep_alive_s: how long a stream is silent before it does.
        send_timeout_s: how long the client may take nothing of what it is sent before it is cut off.
    """

    def __init__(
        self,
        request: web.Request,
        *,
        opening: bytes,
        keep_alive: bytes,
        headers: Mapping[str, str],
        keep_alive_s: float,
        send_timeout_s: float,
    ) -> None:
        self._request = request
        self._opening = opening
        self._keep_alive = keep_alive
        self._keep_alive_s = keep_alive_s
        self._send_timeout_s = send_timeout_s
        self._sent_at = time.monotonic()
        self.response = web.StreamResponse(headers={**_HEADERS, **headers})
        self.opened = False

    async def send(self, data: bytes) -> None:
        """Send events, whole ones.

        Raises:
            ClientGone: nobody is there to take them.
        """
        if not data:
            return
        try:
            async with asyncio.timeout(self._send_timeout_s):
                if not self.opened:
                    self.opened = True
                    await self.response.prepare(self._request)
                    data = self._opening + data
                await self.response.write(data)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ClientGone from None
        except ConnectionError:
            raise ClientGone from None
        self._sent_at = time.monotonic()

    async def idle(self) -> None:
        """Nothing happens: show the client, and what is between, that we live, if it is time.

        Raises:
            ClientGone: nobody is there to see it.
        """
        if time.monotonic() - self._sent_at >= self._keep_alive_s:
            await self.send(self._keep_alive)
