"""Owns the sockets of one process: its listener, one outgoing and one incoming connection for each peer.

`Hub` works on a given event loop and knows nothing of Thespian. Its owner (`HubOwner`) receives frames and
learns which peers are gone and what could not be delivered. Rules that the layers above rely on:

- Order: frames to one peer travel on one connection, in the order of `post`.
- `post` makes no system call. Frames that are posted in one tick of the loop leave in one write.
- A connection's end means that the peer is gone. What the peer sent before its end is read first, then the
  owner is told.
- A full queue refuses (`post` returns False); nothing blocks, nothing sleeps.
- Only processes of the same user are heard (`SO_PEERCRED`).
"""

from __future__ import annotations

__all__ = ["Hub", "HubOwner", "listen"]

import asyncio
import errno
import logging
import os
import socket
import struct
from collections import deque
from typing import Any, Protocol

from openclaw_actors.actorsystem.framing import HEADER_SIZE, BadFrame, Frame, FrameReader, Kind, encode
from openclaw_actors.actorsystem.limits import Limits

logger = logging.getLogger(__name__)

_BACKLOG = 4096
_READ_BYTES = 65536
_WRITE_BYTES = 262144
_READS_A_TICK = 4
_RETRY_S = 0.01
_UCRED = struct.Struct("3i")


class HubOwner(Protocol):
    """What a hub tells its owner. All calls come from callbacks of the loop."""

    def frame_received(self, sender: str, frame: Frame) -> None:
        """A frame of the peer `sender` arrived."""

    def read_ended(self) -> None:
        """What could be read in one go was read: now is the time to handle it."""

    def peer_lost(self, key: str) -> None:
        """The connection to the peer `key` ended, or none could be made. All that it sent was received before."""

    def delivered(self, token: Any) -> None:
        """The frame that was posted with `token` was handed to the kernel."""

    def undelivered(self, token: Any) -> None:
        """The frame that was posted with `token` was not sent, because its peer is gone."""


def listen(path: str) -> socket.socket:
    """Bind and return a listening Unix socket at `path`, for the same user only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class _Outgoing:
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
        self.sock: socket.socket | None = None
        self.head: memoryview | None = None  # the write that the kernel took only in part
        self.head_tokens: list[Any] = []
        self.waiting = False  # for the socket to become writable, or for a retry to connect
        self.dirty = False
        self.deadline: float | None = None

    def flush(self) -> None:
        """Write as much as the kernel takes."""
        self.dirty = False
        if self.waiting or (self.sock is None and not self._connect()):
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
            for token in self.head_tokens:
                self.hub.owner.delivered(token)
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
        sock: socket.socket | None = None
        try:
            sock = socket.socket(
                socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            )
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

    def lost(self) -> None:
        """Forget the connection: the peer is gone."""
        hub = self.hub
        if hub.outgoing.pop(self.key, None) is not self:
            return
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


class _Incoming:
    """A connection on which one peer sends."""

    __slots__ = ("hub", "paused", "reader", "sender", "sock")

    def __init__(self, hub: Hub, sock: socket.socket) -> None:
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
        if first.kind != Kind.HELLO:
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


class Hub:
    """The sockets of one process.

    Args:
        loop: on which all work is done; it need not run yet.
        path: of the listening socket, which is this process's address.
        listener: the bound socket.
        owner: who is told.
        limits: see `Limits`.
        flushed_by_owner: the owner calls `flush` at the end of each tick of the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: str,
        listener: socket.socket,
        owner: HubOwner,
        limits: Limits,
        *,
        flushed_by_owner: bool = False,
    ) -> None:
        self.loop = loop
        self.path = path
        self.owner = owner
        self.limits = limits
        self.outgoing: dict[str, _Outgoing] = {}
        self.paused = False
        self.hello = encode(Kind.HELLO, 0, os.fsencode(path))
        self._listener = listener
        self._incoming: dict[str, _Incoming] = {}
        self._strangers: dict[_Incoming, float] = {}
        """Connections that have not said whose they are, oldest first, and when they were accepted."""
        self._strangers_timed = False
        self._dirty: list[_Outgoing] = []
        self._flush_planned = False
        self._flushed_by_owner = flushed_by_owner
        self._holding = False
        self._uid = os.geteuid()
        loop.add_reader(listener.fileno(), self._accept)

    # -- sending ------------------------------------------------------------

    def post(self, key: str, kind: int, ask_id: int, payload: bytes, token: Any) -> bool:
        """Queue a frame for the peer `key`. Makes no system call.

        Args:
            key: path of the peer's socket.
            kind: see `Kind`.
            ask_id: in the header; 0 for none.
            payload: at most `limits.frame` bytes, which the caller has checked.
            token: handed to `delivered` or `undelivered`; None to hear nothing.

        Returns:
            False if the queue of this peer is full; nothing was queued.
        """
        link = self.outgoing.get(key)
        if link is None:
            link = self.outgoing[key] = _Outgoing(self, key)
        elif link.queue and (
            len(link.queue) >= self.limits.peer_queue_frames
            or link.queued + len(payload) + HEADER_SIZE > self.limits.peer_queue
        ):
            return False
        frame = encode(kind, ask_id, payload)
        link.queue.append((frame, token))
        link.queued += len(frame)
        if not link.dirty:
            link.dirty = True
            self._dirty.append(link)
            self._plan_flush()
        return True

    def _plan_flush(self) -> None:
        if not self._flush_planned and not self._holding and not self._flushed_by_owner:
            self._flush_planned = True
            self.loop.call_soon(self._planned_flush)

    def _planned_flush(self) -> None:
        self._flush_planned = False
        self.flush()

    def hold(self) -> None:
        """Collect what is posted until `flush`, which the caller promises to call in the same callback."""
        self._holding = True

    def flush(self) -> None:
        """Write what was posted since the last flush."""
        self._holding = False
        while self._dirty:
            links, self._dirty = self._dirty, []
            for link in links:
                link.flush()

    @property
    def pending(self) -> int:
        """Frames that wait to be written, to all peers together."""
        return sum(len(link.queue) + (link.head is not None) for link in self.outgoing.values())

    def flush_blocking(self, key: str, timeout_s: float) -> None:
        """Write what waits for one peer now, and wait for it at most `timeout_s`. For last words only."""
        link = self.outgoing.get(key)
        if link is not None and link.sock is None:
            link.flush()  # it may stand in the list of a flush that is under way, so that ours has passed it by
        if link is None or link.sock is None:
            return
        rest = b"".join([bytes(link.head or b""), *(frame for frame, _ in link.queue)])
        link.sock.settimeout(timeout_s)
        try:
            link.sock.sendall(rest)
        except OSError:
            logger.warning("the last words of a crashing actor were not taken")

    # -- receiving ----------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                self._accept_failed(error)
                break
            sock.setblocking(False)
            if not self._same_user(sock):
                sock.close()
                continue
            peer = _Incoming(self, sock)
            self._strangers[peer] = self.loop.time()
            peer.read_once()
            if self._strangers and not self._strangers_timed:
                self._strangers_timed = True
                self.loop.call_later(self.limits.greet_s, self._end_strangers)
        self.owner.read_ended()

    def _accept_failed(self, error: OSError) -> None:
        if self._listener.fileno() < 0:
            return
        logger.error("no connection can be accepted for a second: %s", os.strerror(error.errno or 0))
        self.loop.remove_reader(self._listener.fileno())
        self.loop.call_later(1.0, self._accept_again)

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.loop.add_reader(self._listener.fileno(), self._accept)

    def _same_user(self, sock: socket.socket) -> bool:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _pid, uid, _gid = _UCRED.unpack(credentials)
        if uid == self._uid:
            return True
        logger.error("a connection of another user (uid %d) was refused", uid)
        return False

    def _end_strangers(self) -> None:
        self._strangers_timed = False
        now, limit_s = self.loop.time(), self.limits.greet_s
        for peer, since in list(self._strangers.items()):
            if now - since < limit_s:
                self._strangers_timed = True
                self.loop.call_later(since + limit_s - now, self._end_strangers)
                return
            peer.read_once()  # its greeting may have come while nothing was read
            if peer in self._strangers:
                logger.error("a connection did not greet within %.0f s and was closed", limit_s)
                peer.close()

    def greeted(self, peer: _Incoming) -> None:
        """A connection has said whose it is."""
        assert peer.sender is not None
        self._strangers.pop(peer, None)
        earlier = self._incoming.get(peer.sender)
        if earlier is not None and earlier is not peer:
            while earlier.sock.fileno() >= 0 and earlier.read_once():
                pass
            earlier.close()
        self._incoming[peer.sender] = peer

    def forget(self, peer: _Incoming) -> None:
        """A connection was closed."""
        self._strangers.pop(peer, None)
        if peer.sender is not None and self._incoming.get(peer.sender) is peer:
            del self._incoming[peer.sender]

    def drain(self, key: str) -> None:
        """Read all that the peer `key` has sent, beyond every limit: it is dead, so the kernel bounds it."""
        if self._listener.fileno() >= 0:
            self._accept()
        for stranger in list(
            self._strangers
        ):  # one of them may be the peer, accepted before its greeting came
            stranger.read_once()
        peer = self._incoming.get(key)
        while peer is not None and peer.sock.fileno() >= 0 and peer.read_once():
            pass

    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a setter
        """Stop or continue reading from all peers."""
        self.paused = paused
        for peer in [*self._incoming.values(), *self._strangers]:
            peer.set_paused(paused)

    # -- ending -------------------------------------------------------------

    def remove_socket(self, path: str) -> None:
        """Remove the socket file of a process that is gone, if it lies in our run directory."""
        if os.path.dirname(path) == os.path.dirname(self.path):
            try:
                os.unlink(path)
            except OSError:
                return  # somebody else was faster

    def peer_exited(self, key: str) -> None:
        """Tell the hub that the process behind `key` has ended, before its connections say so."""
        self.drain(key)
        self.remove_socket(key)
        link = self.outgoing.get(key)
        if link is not None:
            link.lost()

    def close(self) -> None:
        """Close everything and remove our socket file."""
        if self._listener.fileno() >= 0:
            self.loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self.remove_socket(self.path)
        for peer in [*self._incoming.values(), *self._strangers]:
            peer.close()
        for link in list(self.outgoing.values()):
            link.close()
        self.outgoing.clear()
