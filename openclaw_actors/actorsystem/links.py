"""Owns the two kinds of connections that a hub has with a peer: one on which it sends, one on which it hears."""

from __future__ import annotations

__all__ = ["Incoming", "Outgoing", "unix_socket"]

import errno
import logging
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from openclaw_actors.actorsystem.framing import HELLO, BadFrame, Frame, FrameReader

if TYPE_CHECKING:
    from openclaw_actors.actorsystem.hub import Hub

logger = logging.getLogger(__name__)

_READ_BYTES = 65536
_WRITE_BYTES = 262144
_READS_A_TICK = 4
_RETRY_S = 0.01


_UNIX = int(socket.AF_UNIX)
_STREAM = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def unix_socket(fd: int | None = None) -> socket.SocketType:
    """A stream socket that does not block, new or with this descriptor; of the type on which `socket.socket` is built.

    That one looks up names for numbers and counts references, in Python code, for each.
    """
    sock = socket.SocketType(_UNIX, _STREAM, 0, fd)
    if fd is not None:
        sock.setblocking(False)
    return sock


class Outgoing:
    """The connection to one peer and the frames that wait for it."""

    __slots__ = (
        "deadline",
        "dirty",
        "head",
        "head_tokens",
        "hub",
        "key",
        "queue",
        "queued",
        "sock",
        "waiting",
    )

    def __init__(self, hub: Hub, key: str) -> None:
        self.hub = hub
        self.key = key
        self.queue: deque[tuple[bytes, Any]] = deque()
        self.queued = 0  # bytes in `queue` and in what is left of `head`
        self.sock: socket.SocketType | None = None
        self.head: memoryview | None = None  # the write that the kernel took only in part
        self.head_tokens: list[Any] = []
        self.waiting = False  # for the socket to become writable, or for a retry to connect
        self.dirty = False
        self.deadline: float | None = None

    def flush(self) -> None:
        """Write as much as the kernel takes."""
        self.dirty = False
        if self.waiting or (self.sock is None and not (self._is_current() and self._connect())):
            return
        sock = self.sock
        assert sock is not None
        while self.head is not None or self.queue:
            if self.head is None:
                self._load()
            assert self.head is not None
            try:
                sent = sock.send(self.head)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.lost()
                return
            self.queued -= sent
            if sent < len(self.head):
                self.head = self.head[sent:]
                self.waiting = True
                self.hub.loop.add_writer(sock.fileno(), self._writable)
                return
            self.head = None
            if self.head_tokens:
                self.hub.owner.delivered(self.head_tokens)
                self.head_tokens.clear()

    def _load(self) -> None:
        queue, tokens = self.queue, self.head_tokens
        frames: list[bytes] = []
        size = 0
        while queue and (size < _WRITE_BYTES):
            frame, token = queue.popleft()
            frames.append(frame)
            size += len(frame)
            if token is not None:
                tokens.append(token)
        self.head = memoryview(frames[0] if len(frames) == 1 else b"".join(frames))

    def _writable(self) -> None:
        assert self.sock is not None
        self.hub.loop.remove_writer(self.sock.fileno())
        self.waiting = False
        self.flush()

    def _connect(self) -> bool:
        sock: socket.SocketType | None = None
        try:
            sock = unix_socket()
            sock.connect(self.key)
        except OSError as error:
            if sock is not None:
                sock.close()
            self._connect_failed(error)
            return False
        self.sock = sock
        self.deadline = None
        hello = self.hub.hello
        self.queue.appendleft((hello, None))
        self.queued += len(hello)
        self.hub.loop.add_reader(sock.fileno(), self._readable)
        return True

    def _connect_failed(self, error: OSError) -> None:
        passing = error.errno in (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        now = self.hub.loop.time()
        if self.deadline is None:
            self.deadline = now + self.hub.limits.connect_s
            if passing and error.errno != errno.EAGAIN:
                logger.error(
                    "a connection waits for a descriptor or memory: %s", os.strerror(error.errno or 0)
                )
        if passing and now < self.deadline:
            self.waiting = True
            self.hub.loop.call_later(_RETRY_S, self._retry)
            return
        if error.errno == errno.ECONNREFUSED:
            self.hub.remove_socket(self.key)
        self.lost()

    def _retry(self) -> None:
        self.waiting = False
        if self.hub.outgoing.get(self.key) is self:
            self.flush()

    def _readable(self) -> None:
        # A peer sends nothing on this connection, so this is its end.
        self.lost()

    def _is_current(self) -> bool:
        """Whether it was not lost: another may have taken its place since, to which what it would do is nothing."""
        return self.hub.outgoing.get(self.key) is self

    def lost(self) -> None:
        """Forget the connection: the peer is gone."""
        hub = self.hub
        if not self._is_current():
            return
        del hub.outgoing[self.key]
        self.close()
        hub.drain(self.key)
        for token in [*self.head_tokens, *(token for _, token in self.queue if token is not None)]:
            hub.owner.undelivered(token)
        self.queue.clear()
        hub.owner.peer_lost(self.key)

    def close(self) -> None:
        """Close the socket, without a word to anybody."""
        if self.sock is not None:
            self.hub.loop.remove_reader(self.sock.fileno())
            self.hub.loop.remove_writer(self.sock.fileno())
            self.sock.close()
            self.sock = None


class Incoming:
    """A connection on which one peer sends."""

    __slots__ = ("hub", "paused", "reader", "sender", "sock")

    def __init__(self, hub: Hub, sock: socket.SocketType) -> None:
        self.hub = hub
        self.sock = sock
        self.reader = FrameReader(hub.limits.frame)
        self.sender: str | None = None
        self.paused = hub.paused
        if not self.paused:
            hub.loop.add_reader(sock.fileno(), self.readable)

    def readable(self) -> None:
        """Read for a while, so that one busy peer does not starve the others."""
        for _ in range(_READS_A_TICK):
            if not self.read_once() or self.paused:
                break
        self.hub.owner.read_ended()

    def read_once(self) -> bool:
        """Read once; say whether there may be more."""
        try:
            data = self.sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        try:
            frames = self.reader.feed(data)
            if frames and self.sender is None:
                frames = self._greeted(frames)
        except (BadFrame, UnicodeDecodeError) as error:
            logger.error("a connection sent what is no frame and was closed: %s", error)
            self.close()
            return False
        sender = self.sender
        if sender is not None:
            for frame in frames:
                self.hub.owner.frame_received(sender, frame)
        return len(data) == _READ_BYTES

    def _greeted(self, frames: list[Frame]) -> list[Frame]:
        first = frames[0]
        if first.kind != HELLO:
            raise BadFrame("the first frame is no greeting")
        self.sender = os.fsdecode(bytes(first.payload))
        self.hub.greeted(self)
        return frames[1:]

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a setter
        """Stop or continue reading."""
        if paused == self.paused or self.sock.fileno() < 0:
            return
        self.paused = paused
        if paused:
            self.hub.loop.remove_reader(self.sock.fileno())
        else:
            self.hub.loop.add_reader(self.sock.fileno(), self.readable)

    def close(self) -> None:
        """Close and forget the connection."""
        if self.sock.fileno() >= 0:
            self.hub.loop.remove_reader(self.sock.fileno())
            self.sock.close()
        self.hub.forget(self)
