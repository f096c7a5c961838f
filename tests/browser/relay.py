"""Owns a stand-in for a reverse proxy: one port for pages and web socket, whose connections a test can cut."""

from __future__ import annotations

__all__ = ["Relay"]

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """Passes bytes on: to the WebSocket port what asks for `/ws`, to the HTTP port the rest.

    Args:
        http_url, ws_url: of the gateway.
    """

    def __init__(self, http_url: str, ws_url: str) -> None:
        self._http = _address(http_url)
        self._ws = _address(ws_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._refuses = False
        self._ends = False
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """End all connections without a word, and refuse new ones."""
        with self._lock:
            self._refuses = True
            for each in self._open:
                _break(each)

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._refuses = False

    def close(self) -> None:
        """End everything."""
        self._ends = True
        self.cut()
        _break(self._listener)
        for thread in self._threads:
            thread.join(5.0)
        self._listener.close()

    def _begin(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ends:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            if not self._enter(client):
                return
            try:
                head = client.recv(65_536)
                with socket.create_connection(
                    self._ws if head.startswith(b"GET /ws") else self._http
                ) as server:
                    if self._enter(server):
                        server.sendall(head)
                        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                        back.start()
                        _copy(client, server)
                        back.join(10.0)
                    self._leave(server)
            except OSError:
                pass  # one of the two is gone
            self._leave(client)

    def _enter(self, each: socket.socket) -> bool:
        with self._lock:
            if not self._refuses:
                self._open.add(each)
            return not self._refuses

    def _leave(self, each: socket.socket) -> None:
        with self._lock:
            self._open.discard(each)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    _break(source)
    _break(target)


def _break(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
