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
import logging
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any, Protocol

from openclaw_actors.actorsystem.framing import HEADER_SIZE, HELLO, Frame, encode
from openclaw_actors.actorsystem.limits import Limits
from openclaw_actors.actorsystem.links import Incoming, Outgoing, unix_socket

logger = logging.getLogger(__name__)

_BACKLOG = 4096
_UCRED = struct.Struct("3i")


class HubOwner(Protocol):
    """What a hub tells its owner. All calls come from callbacks of the loop."""

    def frame_received(self, sender: str, frame: Frame) -> None:
        """A frame of the peer `sender` arrived."""

    def read_ended(self) -> None:
        """What could be read in one go was read: now is the time to handle it."""

    def peer_lost(self, key: str) -> None:
        """The connection to the peer `key` ended, or none could be made. All that it sent was received before."""

    def delivered(self, tokens: Iterable[Any]) -> None:
        """The frames that were posted with these tokens were handed to the kernel."""

    def undelivered(self, token: Any) -> None:
        """The frame that was posted with `token` was not sent, because its peer is gone."""


def listen(path: str) -> socket.SocketType:
    """Bind and return a listening Unix socket at `path`, for the same user only."""
    listener = unix_socket()
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class Hub:
    """The sockets of one process.

    Args:
        loop: on which all work is done; it need not run yet.
        owner: who is told.
        limits: see `Limits`.
        flushed_by_owner: the owner calls `flush` at the end of each tick of the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: HubOwner,
        limits: Limits,
        *,
        flushed_by_owner: bool = False,
    ) -> None:
        self.loop = loop
        self.owner = owner
        self.limits = limits
        self.outgoing: dict[str, Outgoing] = {}
        self.paused = False
        self.path: str
        self.hello: bytes
        self._listener: socket.SocketType
        self._incoming: dict[str, Incoming] = {}
        self._strangers: dict[Incoming, float] = {}
        """Connections that have not said whose they are, oldest first, and when they were accepted."""
        self._strangers_timed = False
        self._dirty: list[Outgoing] = []
        self._flush_planned = False
        self._flushed_by_owner = flushed_by_owner
        self._uid = os.geteuid()

    def open(self, path: str, listener: socket.SocketType) -> None:
        """Take up an address; before this, nothing can be posted.

        Args:
            path: of the listening socket, which is this process's address.
            listener: the bound socket.
        """
        self.path = path
        self.hello = encode(HELLO, 0, os.fsencode(path))
        self._listener = listener
        self.loop.add_reader(listener.fileno(), self._accept)

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
            link = self.outgoing[key] = Outgoing(self, key)
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
            if not self._flush_planned and not self._flushed_by_owner:
                self._flush_planned = True
                self.loop.call_soon(self._planned_flush)
        return True

    def _planned_flush(self) -> None:
        self._flush_planned = False
        self.flush()

    def flush(self) -> None:
        """Write what was posted since the last flush."""
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
                fd, _ = self._listener._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                self._accept_failed(error)
                break
            sock = unix_socket(fd)
            if not self._same_user(sock):
                sock.close()
                continue
            peer = Incoming(self, sock)
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

    def _same_user(self, sock: socket.SocketType) -> bool:
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

    def greeted(self, peer: Incoming) -> None:
        """A connection has said whose it is."""
        assert peer.sender is not None
        self._strangers.pop(peer, None)
        earlier = self._incoming.get(peer.sender)
        if earlier is not None and earlier is not peer:
            while earlier.sock.fileno() >= 0 and earlier.read_once():
                pass
            earlier.close()
        self._incoming[peer.sender] = peer

    def forget(self, peer: Incoming) -> None:
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
