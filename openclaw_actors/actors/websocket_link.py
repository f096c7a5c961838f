"""Owns one client's socket: handshake, frames, keep-alive, close, and how much may wait for a slow reader.

The protocol itself is `websockets`' own, without its tasks: frames are handled where they arrive, and all that a tick
of the loop sends to a client leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN

from openclaw_actors.actors.websocket_protocol import LinkProtocol

__all__ = ["Link", "LinkHost", "LinkLimits"]

_MAX_REQUEST_BYTES = 65_536
_PAUSE_AT_BYTES = 65_536
_BURST_BYTES = 1_048_576
"""What may come at once, such as a page of the past, for a client that had taken all before it."""
_SLICE_BYTES = 2_048
_TURN_S = 0.05
_MAX_FRAMES_A_TURN = 256
"""Of one client; pings, heartbeats and empty fragments cost it nothing else, and everybody shares one loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Limits of one socket."""

    max_message_bytes: int
    send_buffer_bytes: int
    open_timeout_s: float
    close_timeout_s: float
    ping_interval_s: float
    ping_timeout_s: float


class LinkHost(Protocol):
    """Who is told what happens on a socket."""

    limits: LinkLimits

    def made(self, link: Link) -> None:
        """Somebody connected."""

    def requested(self, link: Link, request: Request) -> None:
        """The request is read: `welcome` or `answer` it, now or later."""

    def received(self, link: Link, text: str) -> None:
        """A text message came."""

    def drained(self, link: Link) -> None:
        """All that was sent before `tell_when_drained` has left."""

    def too_slow(self, link: Link) -> None:
        """The client does not read; its connection is being closed."""

    def ended(self, link: Link) -> None:
        """Nothing goes to or comes from the client any more. Told once, of links that were welcome."""

    def lost(self, link: Link) -> None:
        """The socket is closed."""


class Link(asyncio.Protocol):
    """One client's socket. Everything happens in the loop's thread.

    Args:
        host: is told what happens.
        loop: the actor's.
    """

    def __init__(self, host: LinkHost, loop: asyncio.AbstractEventLoop) -> None:
        self.id = ""
        """The connection's, once it is welcome."""
        self.address = ""
        """The client's, as the limits count it."""
        self._host = host
        self._loop = loop
        self._limits = host.limits
        self._protocol = LinkProtocol(host.limits.max_message_bytes)
        self._transport: asyncio.Transport
        self._request: Request | None = None
        self._request_bytes = 0
        self._parts: bytearray | None = None
        self._open = False
        self._deaf = False
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._flush_planned = False
        self._paused = False
        self._tell_drained = False
        self._eof_written = False
        self._closing = False
        self._deadline: float | None = loop.time() + host.limits.open_timeout_s
        """Of the handshake, then of the close."""
        self._heard = True
        self._next_ping = 0.0
        self._pong_due: float | None = None
        self._frames = 0
        self._turn_ends = 0.0
        self._unheard = b""
        """Read from the socket while it was not this client's turn."""

    @property
    def peer(self) -> str:
        """Address of the other end of the socket."""
        name = self._transport.get_extra_info("peername")
        return str(name[0]) if name else "unknown"

    def use(self, limits: LinkLimits) -> None:
        """Other limits hold, from the next message on."""
        self._limits = limits
        self._protocol.max_message_size = limits.max_message_bytes

    # Handshake

    def welcome(self, connection_id: str, address: str) -> bool:
        """Make it a WebSocket connection; False where the request was no proper upgrade, and was answered so."""
        assert self._request is not None
        if not self._may_answer:
            return False
        response = self._protocol.accept(self._request)
        if response.status_code == 426:
            response = self._protocol.reject(
                400, "This is a WebSocket endpoint; the request is not an upgrade.\n"
            )
        self._respond(response)
        if self._protocol.state is not OPEN:
            return False
        self.id, self.address = connection_id, address
        self._open = True
        self._deadline = None
        self._next_ping = self._loop.time() + self._limits.ping_interval_s
        return True

    def answer(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "text/plain; charset=utf-8",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Answer the request with a page, and close."""
        if not self._may_answer:
            return
        response = self._protocol.reject(status, "")
        response.body = body
        del response.headers["Content-Length"]
        del response.headers["Content-Type"]
        response.headers["Content-Length"] = str(len(body))
        response.headers["Content-Type"] = content_type
        for name, value in headers:
            response.headers[name] = value
        self._respond(response)

    @property
    def _may_answer(self) -> bool:
        protocol = self._protocol
        return protocol.state is CONNECTING and not protocol.answered and not self._transport.is_closing()

    def _respond(self, response: Response) -> None:
        self._protocol.send_response(response)
        self._send_protocol_data()

    # Sending

    def frame(self, frame: bytes) -> None:
        """Send a frame, with everything else of this tick; nothing happens on a link that is not open."""
        if not self._open or self._deaf:
            return
        if not self._flush_planned:
            if self._paused and self._backlog > self._limits.send_buffer_bytes:
                self._host.too_slow(self)
                return
            self._flush_planned = True
            self._loop.call_soon(self._planned_flush)
        elif self._queued_bytes > self._limits.send_buffer_bytes:
            self._flush()
            if self._backlog > self._limits.send_buffer_bytes + _BURST_BYTES:
                self._host.too_slow(self)
                return
        self._queue.append(frame)
        self._queued_bytes += len(frame)

    def tell_when_drained(self) -> None:
        """Call the host's `drained` when the client has taken what was sent so far."""
        self._tell_drained = True
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._planned_flush)

    def close(self, code: int, reason: str, *, timeout_s: float | None = None) -> None:
        """Close the connection, after what was sent.

        Args:
            timeout_s: how long the client has to answer; the configured time by default.
        """
        if self._protocol.state is not OPEN:
            return
        self._flush()
        self._protocol.send_close(code, reason)
        self._begin_close(timeout_s)
        self._send_protocol_data()
        self._end()

    def close_soon(self, code: int, reason: str) -> None:
        """Close it as `close` does, but not within this call; from now on nothing more is sent or heard."""
        self._deaf = True
        self._loop.call_soon(self.close, code, reason)

    def drop_unsent(self) -> None:
        """Forget what is not yet handed to the kernel's side of the socket."""
        self._queue.clear()
        self._queued_bytes = 0

    def abort(self) -> None:
        """Close the socket at once."""
        closing = (
            self._transport.is_closing() and self._transport.can_write_eof()
        )  # one with TLS waits for an answer
        if not closing or self._transport.get_write_buffer_size():
            self._transport.abort()

    @property
    def _backlog(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._transport.get_write_buffer_size()

    def _planned_flush(self) -> None:
        self._flush_planned = False
        self._flush()
        if self._tell_drained and not self._paused:
            self._tell_drained = False
            self._host.drained(self)

    def _flush(self) -> None:
        if not self._queue:
            return
        if self._eof_written:
            self.drop_unsent()
            return
        data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._transport.write(data)

    def _send_protocol_data(self) -> None:
        self._flush()
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif not self._transport.is_closing():
                self._eof_written = True
                if not self._transport.can_write_eof():  # TLS knows no half of a connection
                    self._transport.close()
                    continue
                try:
                    self._transport.write_eof()
                except OSError:
                    pass  # the peer has left already; that its connection is lost is told soon
        if self._protocol.close_expected():
            self._begin_close()
        elif self._open and self._paused and self._backlog > self._limits.send_buffer_bytes:
            self._host.too_slow(self)  # of a client that sends pings and never reads the pongs

    def _begin_close(self, timeout_s: float | None = None) -> None:
        if not self._closing:
            self._closing = True
            limit_s = self._limits.close_timeout_s if timeout_s is None else timeout_s
            self._deadline = self._loop.time() + limit_s

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._begin_close()
            self._host.ended(self)

    # Time

    def check(self, now: float) -> None:
        """Look at the time: of the handshake, of the close, of the keep-alive."""
        if self._deadline is not None:
            if now >= self._deadline:
                self.abort()
            return
        if self._heard:
            self._heard = False
            self._pong_due = None
        if self._pong_due is not None:
            if now >= self._pong_due:
                self._protocol.fail(CloseCode.INTERNAL_ERROR, "keep-alive timeout")
                self._send_protocol_data()
                self._end()
        elif now >= self._next_ping:
            self._protocol.send_ping(b"")
            self._send_protocol_data()
            self._next_ping = now + self._limits.ping_interval_s
            self._pong_due = now + self._limits.ping_timeout_s

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(min(_PAUSE_AT_BYTES, self._limits.send_buffer_bytes))
        self._host.made(self)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._unheard:
            self._unheard += data
            return
        for start in range(0, len(data), _SLICE_BYTES):
            if self._frames > _MAX_FRAMES_A_TURN and self._loop.time() < self._turn_ends:
                self._unheard = data[start:]
                self._transport.pause_reading()
                self._loop.call_at(self._turn_ends, self._listen_again)
                return
            self._hear(data[start : start + _SLICE_BYTES])

    def _listen_again(self) -> None:
        data, self._unheard = self._unheard, b""
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self.data_received(data)

    def _count(self, frames: int) -> None:
        now = self._loop.time()
        if now >= self._turn_ends:
            self._turn_ends, self._frames = now + _TURN_S, 0
        self._frames += frames

    def _hear(self, data: bytes) -> None:
        protocol = self._protocol
        if self._request is None and not self._may_read_on(len(data)):
            return
        protocol.receive_data(data)
        events = protocol.events_received()
        self._count(len(events))
        if protocol.writes:
            self._send_protocol_data()
        for event in events:
            if isinstance(event, Frame):
                self._frame_received(event)
            elif isinstance(event, Request):
                self._request = event
                self._host.requested(self, event)
        if self._open and protocol.state is not OPEN:
            self._end()

    def _may_read_on(self, size: int) -> bool:
        self._request_bytes += size
        if self._request_bytes <= _MAX_REQUEST_BYTES or self._protocol.answered:
            return True
        self._respond(self._protocol.reject(431, "The request's head is too large.\n"))
        return False

    def _frame_received(self, frame: Frame) -> None:
        if not self._open or self._deaf or frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
            return
        if frame.opcode is Opcode.BINARY:
            self.close(CloseCode.UNSUPPORTED_DATA, "only text is understood")
            return
        data: bytes | bytearray = bytes(frame.data)
        if frame.opcode is Opcode.CONT:
            if self._parts is None:
                return  # of a message that was refused by its first frame
            self._parts += data
            data = self._parts
        if not frame.fin:
            if self._parts is None:
                self._parts = bytearray(data)
            return
        self._parts = None
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "invalid UTF-8")
            return
        self._host.received(self, text)

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._send_protocol_data()
        self._begin_close()
        self._end()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._tell_drained:
            self.tell_when_drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.receive_eof()
        self._protocol.data_to_send()
        self.drop_unsent()
        self._end()
        self._host.lost(self)
