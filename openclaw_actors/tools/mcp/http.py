"""Carries messages to and from a server elsewhere, for the library: its streamable HTTP, with limits."""

from __future__ import annotations

__all__ = ["http_client"]

from collections.abc import AsyncIterator, Callable, Mapping

import httpx2

_CONNECT_S = 10.0
_SILENCE_MARGIN_S = 30.0
_REFUSES = 400


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error where it becomes too long."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx2.StreamError(f"the body takes more than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Transport(httpx2.AsyncHTTPTransport):
    """Bounds what the library reads whole; event streams it bounds event by event itself."""

    def __init__(self, most: int, refused: Callable[[int], None]) -> None:
        super().__init__()
        self._most = most
        self._refused = refused

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.status_code >= _REFUSES:
            self._refused(response.status_code)
        kind = response.headers.get("content-type", "").lower()
        # A packed body says nothing of how much it becomes; nobody was asked for one.
        packed = response.headers.get("content-encoding", "identity").lower() != "identity"
        if packed or not kind.startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, 0 if packed else self._most)
        return response


def http_client(
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    max_message_bytes: int,
    refused: Callable[[int], None],
) -> httpx2.AsyncClient:
    """A client for one server.

    Args:
        headers: sent with every request to it; the library follows no redirect to another origin.
        timeout_s: of one call; a connection that is silent for longer is given up.
        max_message_bytes: the most that one answer may take.
        refused: told of each HTTP status that is an error; the library keeps it to itself.
    """
    return httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(_CONNECT_S, read=timeout_s + _SILENCE_MARGIN_S),
        transport=_Transport(max_message_bytes, refused),
    )
