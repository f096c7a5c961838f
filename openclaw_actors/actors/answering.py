"""Decides when the channels answer: each is asked over its own port, as a client would. Starts no thread."""

from __future__ import annotations

__all__ = ["reachable", "until_both_answer"]

import asyncio
import socket

from openclaw_actors.messages import Ready

_TRY_S = 1.0
_RETRY_S = 0.02


def reachable(address: str) -> tuple[str, int]:
    """Host and port to connect to for HOST:PORT; one that stands for all interfaces becomes the loopback."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return host, int(port)


async def until_both_answer(ready: Ready, *, timeout_s: float) -> str:
    """Wait until every address that the supervisor named answers an HTTP request.

    Args:
        timeout_s: for each, in seconds.

    Returns:
        The address that did not answer in time, or "".
    """
    for name in ("ws", "http"):
        address = ready.detail.get(name)
        if address:
            try:
                async with asyncio.timeout(timeout_s):
                    await _until_answers(address)
            except TimeoutError:
                return address
    return ""


async def _until_answers(address: str) -> None:
    while True:
        try:
            async with asyncio.timeout(_TRY_S):
                if await _answers(address):
                    return
        except (OSError, TimeoutError):
            pass  # not yet
        await asyncio.sleep(_RETRY_S)


async def _answers(address: str) -> bool:
    host, port = reachable(address)
    # The loop's own resolution of names would start a thread, and this process forks.
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    loop = asyncio.get_running_loop()
    with socket.socket(family, kind, protocol) as probe:
        probe.setblocking(False)
        await loop.sock_connect(probe, target)
        request = f"GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        await loop.sock_sendall(probe, request.encode())
        return bool(await loop.sock_recv(probe, 64))
