"""Decides when the channels answer: each is asked over its own port, as a client would. Starts no thread."""

from __future__ import annotations

__all__ = ["open_to_probe", "reachable", "until_both_answer"]

import asyncio
import socket
import ssl

from openclaw_actors.messages import Ready

_TRY_S = 1.0
_RETRY_S = 0.02


def reachable(address: str) -> tuple[str, int]:
    """Host and port to connect to for HOST:PORT; one that stands for all interfaces becomes the loopback."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return host, int(port)


async def until_both_answer(ready: Ready, *, timeout_s: float, tls: bool) -> str:
    """Wait until every address that the supervisor named answers an HTTP request.

    Args:
        timeout_s: for each, in seconds.
        tls: whether they speak it.

    Returns:
        The address that did not answer in time, or "".
    """
    for name in ("ws", "http"):
        address = ready.detail.get(name)
        if address:
            try:
                async with asyncio.timeout(timeout_s):
                    await _until_answers(address, tls=tls)
            except TimeoutError:
                return address
    return ""


async def _until_answers(address: str, *, tls: bool) -> None:
    while True:
        try:
            async with asyncio.timeout(_TRY_S):
                if await _answers(address, tls=tls):
                    return
        except (OSError, TimeoutError):
            pass  # not yet
        await asyncio.sleep(_RETRY_S)


async def _answers(address: str, *, tls: bool) -> bool:
    reader, writer = await open_to_probe(address, tls=tls)
    try:
        writer.write(f"GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        return bool(await reader.read(64))
    finally:
        writer.transport.abort()


async def open_to_probe(address: str, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a channel, to see whether it answers. Say nothing secret: nobody asks whose certificate it shows.

    Args:
        address: HOST:PORT.
        tls: whether it speaks TLS.

    Raises:
        OSError: nobody listens there, or does not speak TLS.
    """
    host, port = reachable(address)
    # The loop's own resolution of names would start a thread, and this process may fork.
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    probe = socket.socket(family, kind, protocol)
    try:
        probe.setblocking(False)
        await asyncio.get_running_loop().sock_connect(probe, target)
        if not tls:
            return await asyncio.open_connection(sock=probe)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await asyncio.open_connection(sock=probe, ssl=context, server_hostname="localhost")
    except BaseException:
        probe.close()
        raise
