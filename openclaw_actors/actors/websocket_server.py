"""Owns the sockets of the WebSocket channel: lets clients in, gives what they say to the core, does what it wants.

The core (`channels.websocket`) decides; this is its `Outputs`, and the host of the links.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, MutableMapping

from websockets.http11 import Request

from openclaw_actors.actors.tls_gate import TlsGate
from openclaw_actors.actors.websocket_link import Link, LinkLimits
from openclaw_actors.channels.auth import Principals
from openclaw_actors.channels.limits import ConnectionLimits
from openclaw_actors.channels.websocket.answers import Answers
from openclaw_actors.channels.websocket.channel import ChannelLimits, WebSocketCore
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.frames import received
from openclaw_actors.channels.websocket.handshake import Doorman, Page, Refusal, RequestHead, Welcome
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.series import series
from openclaw_actors.messages import Message

__all__ = ["WebSocketServer"]

logger = logging.getLogger(__name__)

_CONNECTION_LIMIT = (1008, "connection limit exceeded")
_SLOW_CONSUMER = (1008, "slow consumer")
_TOKEN_REVOKED = (1008, "token revoked")
_SHUTDOWN = (1001, "shutdown")
_INTERNAL_ERROR = (1011, "internal error")
_MAX_OPENING = 512
_MAX_CLOSING = 512
_REFUSED_CLOSE_S = 1.0

PageWanted = Callable[[Link, Page, RequestHead], None]


class WebSocketServer:
    """All sockets of the channel.

    Args:
        loop: the actor's.
        config: the whole configuration.
        principals: who may come in.
        instance: of this process, unique for ever.
        channel: name of the channel's service.
        route: sends a message to the router.
        page: answers a request for a page, later.
        counters: where is counted what clients do.
        gate: of TLS; None: it speaks plain HTTP.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        config: GatewayConfig,
        principals: Principals,
        instance: str,
        channel: str,
        route: Callable[[Message], None],
        page: PageWanted,
        counters: MutableMapping[str, float],
        gate: TlsGate | None = None,
    ) -> None:
        settings = config.websocket
        self.limits = _link_limits(config)
        self.core = WebSocketCore(
            channel=channel,
            instance=instance,
            limits=_channel_limits(config),
            outputs=self,
            counters=counters,
        )
        self.route = route
        self._loop = loop
        self._make = gate.guard(self._link) if gate is not None else self._link
        self._page = page
        self._principals = principals
        self._doorman = Doorman(
            principals=principals,
            security=config.security,
            http_port=config.http.port,
            scheme="http" if gate is None else "https",
        )
        self._admission = ConnectionLimits(
            max_total=settings.max_connections, max_per_address=settings.max_connections_per_ip
        )
        self._max_sockets = settings.max_connections + _MAX_OPENING + _MAX_CLOSING
        self._links: dict[str, Link] = {}
        self._sockets: set[Link] = set()
        self._opening: dict[Link, None] = {}
        self._listeners: list[asyncio.Server] = []
        self._all_lost = asyncio.Event()
        self._ends = False

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Let clients in."""
        for each in sockets:
            self._listeners.append(await self._loop.create_server(self._make, sock=each))

    def _link(self) -> Link:
        return Link(self, self._loop)

    def use(self, config: GatewayConfig, principals: Principals) -> int:
        """Another configuration holds, for the connections that are there, too.

        Returns:
            How many connections are closed, since their token lets nobody in any more.
        """
        before, self._principals = self._principals, principals
        self._doorman = self._doorman.successor(principals, config.security)
        settings = config.websocket
        self._admission.use(
            max_total=settings.max_connections, max_per_address=settings.max_connections_per_ip
        )
        self._max_sockets = settings.max_connections + _MAX_OPENING + _MAX_CLOSING
        self.core.use(_channel_limits(config))
        self.limits = _link_limits(config)
        for link in self._sockets:
            link.use(self.limits)
        revoked = [
            each
            for each in self.core.connections.values()
            if not principals.still_know(each.principal, before)
        ]
        for connection in revoked:
            self.close(connection.id, *_TOKEN_REVOKED)
        return len(revoked)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    def use_http_port(self, port: int) -> None:
        """The HTTP channel listens here."""
        self._doorman.use_http_port(port)

    def drain(self) -> None:
        """Take no messages and no connections any more."""
        self._ends = True
        self._doorman.draining = True
        self.core.drain()

    def take(self, wanted: bool) -> None:  # noqa: FBT001 - it is what it is called for
        """Take no messages and no connections until told otherwise; whoever is about to end does not any more."""
        if not wanted:
            self._doorman.draining = True
            self.core.drain()
        elif not self._ends:
            self._doorman.draining = self.core.draining = False

    async def shut_down(self, *, timeout_s: float) -> None:
        """Close every connection, and the port.

        Args:
            timeout_s: how long clients have to answer, in seconds.
        """
        self._doorman.draining = True
        for listener in self._listeners:
            listener.close()
        for link in tuple(self._opening):
            link.abort()
        self.core.shut_down()
        for link in tuple(self._links.values()):
            link.close(*_SHUTDOWN, timeout_s=timeout_s)
        if self._sockets:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._all_lost.wait()
            except TimeoutError:
                logger.debug("%d clients did not answer the close", len(self._sockets))
        for link in tuple(self._sockets):
            link.abort()

    def tick(self, now: float) -> None:
        """Look at the time, for every socket and for the core."""
        for link in tuple(self._sockets):
            link.check(now)
        self.core.tick(now)

    # What the core wants (`Outputs`)

    def frame(self, connection: str, frame: bytes) -> None:
        link = self._links.get(connection)
        if link is not None:
            link.frame(frame)

    def close(self, connection: str, code: int, reason: str) -> None:
        link = self._links.get(connection)
        if link is not None:
            link.close_soon(code, reason)

    def page_sent(self, connection: str) -> None:
        link = self._links.get(connection)
        if link is not None:
            link.tell_when_drained()

    # What happens on the links (`LinkHost`)

    def made(self, link: Link) -> None:
        if len(self._sockets) >= self._max_sockets:
            link.abort()
            return
        self._sockets.add(link)
        self._all_lost.clear()
        self._opening[link] = None
        if len(self._opening) > _MAX_OPENING:  # those that connect and say nothing make way for who does
            oldest = next(iter(self._opening))
            del self._opening[oldest]
            oldest.abort()

    def requested(self, link: Link, request: Request) -> None:
        head = RequestHead(request.method, request.path, request.headers.raw_items(), link.peer)
        decision = self._doorman.decide(head)
        if isinstance(decision, Welcome):
            self._let_in(link, decision)
        elif isinstance(decision, Page):
            self._page(link, decision, head)
        else:
            self._refuse(link, decision)

    def _refuse(self, link: Link, refusal: Refusal) -> None:
        link.answer(refusal.status, refusal.text.encode(), headers=refusal.headers)

    def _let_in(self, link: Link, welcome: Welcome) -> None:
        connection_id = f"c-{secrets.token_hex(10)}"
        admitted = self._admission.admit(welcome.address)
        if not link.welcome(connection_id, welcome.address if admitted else ""):
            if admitted:
                self._admission.release(welcome.address)
            return
        self._opening.pop(link, None)
        if not admitted:
            self.core.counters[series("connections_rejected_total", channel=self.core.channel)] += 1
            link.close(*_CONNECTION_LIMIT, timeout_s=_REFUSED_CLOSE_S)
            return
        answers = None if welcome.v2 else Answers(link.frame)
        self._links[connection_id] = link
        self.core.opened(
            Connection(
                id=connection_id,
                principal=welcome.principal,
                address=welcome.address,
                session_id=welcome.session_id if welcome.v2 or welcome.session_id else connection_id,
                bound=answers is not None and welcome.session_id is None,
                answers=answers,
                messages_per_minute=self.core.limits.messages_per_minute,
            )
        )

    def received(self, link: Link, text: str) -> None:
        connection = self.core.connections.get(link.id)
        if connection is None:
            return
        try:
            received(self.core, connection, text, now=time.monotonic())
        except Exception:
            # What one client says must not end the connections of all.
            logger.exception("a frame could not be handled; its connection is closed")
            link.close_soon(*_INTERNAL_ERROR)

    def drained(self, link: Link) -> None:
        self.core.drained(link.id, time.monotonic())

    def too_slow(self, link: Link) -> None:
        self.core.counters["ws_slow_consumers_total"] += 1
        link.drop_unsent()
        link.close_soon(*_SLOW_CONSUMER)

    def ended(self, link: Link) -> None:
        if self._links.pop(link.id, None) is not None:
            self.core.closed(link.id)

    def lost(self, link: Link) -> None:
        self._sockets.discard(link)
        self._opening.pop(link, None)
        if link.address:
            self._admission.release(link.address)
            link.address = ""
        if not self._sockets:
            self._all_lost.set()


def _link_limits(config: GatewayConfig) -> LinkLimits:
    settings = config.websocket
    return LinkLimits(
        max_message_bytes=settings.max_message_bytes,
        send_buffer_bytes=settings.send_buffer_bytes,
        open_timeout_s=settings.open_timeout_seconds,
        close_timeout_s=settings.close_timeout_seconds,
        ping_interval_s=settings.ping_interval_seconds,
        ping_timeout_s=settings.ping_timeout_seconds,
    )


def _channel_limits(config: GatewayConfig) -> ChannelLimits:
    settings = config.websocket
    return ChannelLimits(
        max_pending=config.sessions.max_pending,
        max_text_chars=settings.max_text_chars,
        messages_per_minute=settings.messages_per_minute_per_connection,
        max_connections_per_address=settings.max_connections_per_ip,
        accept_timeout_s=settings.accept_timeout_seconds,
    )
