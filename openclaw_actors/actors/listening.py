"""Decides how a channel gets its port: at once after its last process was killed, or with a reason why not."""

from __future__ import annotations

import asyncio
import errno
import socket

__all__ = ["ListenFailed", "listen", "shown_address"]

_RETRY_FOR_S = 1.5
_RETRY_EVERY_S = 0.05
_BACKLOG = 512


class ListenFailed(Exception):
    """Raised when the port cannot be had.

    Args:
        reason: one line for a person: what is wrong and what to do.
        code: as in `InitFailed`.
    """

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason, code)
        self.reason = reason
        self.code = code


async def listen(
    host: str, port: int, *, setting: str, retry_for_s: float = _RETRY_FOR_S
) -> list[socket.socket]:
    """Listen on every address of a host, all of them on one port.

    Args:
        host: an address or a name.
        port: 0 for any that is free.
        setting: the configuration's key of the port, for the reason of a failure.
        retry_for_s: how long a port in use is waited for: a process that was killed may still be dying.

    Raises:
        ListenFailed: the port is in use, or may not be used, or the host is not of this machine.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + retry_for_s
    while True:
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or loop.time() >= end:
                raise _failed(host, port, setting, error) from error
        await asyncio.sleep(_RETRY_EVERY_S)


def shown_address(sockets: list[socket.socket]) -> str:
    """`HOST:PORT` of the first of these sockets, as it stands in a URL."""
    host, port = sockets[0].getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(host: str, port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            # Connections of the last process may still be known to the kernel; they keep nobody off the port so.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setblocking(False)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(_BACKLOG)
            port = listener.getsockname()[1]
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _failed(host: str, port: int, setting: str, error: OSError) -> ListenFailed:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ListenFailed(
            f"port {port} is in use on {host}: stop the program that has it, or set `{setting}` to another port",
            "port_in_use",
        )
    if error.errno == errno.EACCES:
        return ListenFailed(
            f"may not listen on {where}: set `{setting}` to a port above 1023, or allow this program to use it",
            "configuration",
        )
    return ListenFailed(
        f"cannot listen on {where} ({error.strerror or error}): set `bind_address` to an address of this machine",
        "configuration",
    )
