"""WebSocketChannel: people at the other end of a WebSocket. The shell around `channels.websocket`."""

from __future__ import annotations

import asyncio
import logging
import os
import time

from openclaw_actors import logs
from openclaw_actors.actors.board import counters_of
from openclaw_actors.actors.channel import LONGEST_TICK_S, connections_in_words, tick_s
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.health import HealthWatch
from openclaw_actors.actors.listening import ListenFailed, listen, shown_address
from openclaw_actors.actors.own_secrets import own_secrets
from openclaw_actors.actors.principals import principals_of
from openclaw_actors.actors.tls_gate import TlsGate
from openclaw_actors.actors.websocket_link import Link
from openclaw_actors.actors.websocket_server import WebSocketServer
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.channels.metrics import metrics_page
from openclaw_actors.channels.pages import health_page
from openclaw_actors.channels.websocket.channel import WebSocketCore
from openclaw_actors.channels.websocket.handshake import Page, RequestHead
from openclaw_actors.config import GatewayConfig, decode
from openclaw_actors.config.tls import TlsUnusable
from openclaw_actors.core.refusals import TOO_LARGE, refusal_of
from openclaw_actors.errors import AskRefused, ConfigError, FrameTooLarge
from openclaw_actors.messages import (
    Accepted,
    Address,
    ApprovalOutcome,
    Deliver,
    Directory,
    Drain,
    Drained,
    EndSession,
    Init,
    InitFailed,
    Intake,
    Message,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    Refused,
    ReplayPage,
    SessionEvents,
    SessionLost,
    StopOutcome,
)

__all__ = ["WebSocketChannel"]

logger = logging.getLogger(__name__)

_CLOSE_WITHIN_S = 2.0
_LOOK_AGAIN_S = 0.02


class WebSocketChannel(AsyncActor):
    """The WebSocket channel."""

    process_name = "websocket"

    def __init__(self) -> None:
        super().__init__()
        self._core: WebSocketCore | None = None
        self._gate: TlsGate | None = None
        self._server: WebSocketServer
        self._directory: ServiceDirectory
        self._health: HealthWatch
        self._tick_s = LONGEST_TICK_S

    # Life cycle

    @handles(Init)
    async def set_up(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Binds the port."""
        self.incarnation = message.incarnation
        self.counters = counters_of(message.name)
        config = decode(message.settings)
        self._directory = ServiceDirectory(message.directory)
        self._health = HealthWatch(self, sender)
        try:
            self._gate = TlsGate.of(config.tls, handshake_s=config.websocket.open_timeout_seconds)
            server = self._make_server(message, config)
            sockets = await listen(config.bind_address, config.port, setting="port")
        except ListenFailed as problem:
            self.stop_after_answer(problem.code)
            return InitFailed(reason=problem.reason, code=problem.code)
        except (ConfigError, TlsUnusable) as problem:
            self.stop_after_answer("configuration")
            return InitFailed(reason=str(problem), code="configuration")
        self._server, self._core = server, server.core
        address = shown_address(sockets)
        self._use_http_port()
        await server.serve(sockets)
        if self._gate is not None:
            self.spawn(self._gate.keep_fresh(), name="certificate")
        self._use_router()
        self._tick_s = tick_s(config.websocket.open_timeout_seconds, config.websocket.accept_timeout_seconds)
        self._tick()
        return Ready(pid=os.getpid(), incarnation=message.incarnation, detail={"address": address})

    def _make_server(self, message: Init, config: GatewayConfig) -> WebSocketServer:
        return WebSocketServer(
            loop=self.loop,
            config=config,
            principals=principals_of(config, own_secrets(message)),
            instance=message.instance,
            channel=message.name,
            route=self._route,
            page=self._page_wanted,
            counters=self.counters,
            gate=self._gate,
        )

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Lets in, and limits, by another configuration; the port stays."""
        config = decode(message.settings)
        try:
            principals = principals_of(config, own_secrets(message))
        except ConfigError as problem:
            raise AskRefused("configuration", str(problem)) from None
        revoked = self._server.use(config, principals)
        self._tick_s = tick_s(config.websocket.open_timeout_seconds, config.websocket.accept_timeout_seconds)
        logs.use(level=config.logging.level, form=config.logging.format)
        closed = f"{connections_in_words(revoked)} closed: the token is revoked"
        return Reconfigured(text=closed if revoked else "")

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """A service was replaced; a new router gets what is held."""
        changed = self._directory.update(message)
        self._use_http_port()
        if self._core is not None and ("router" in changed or self._directory.find("router") is None):
            self._use_router()

    def _use_http_port(self) -> None:
        port = self._directory.port("http")
        if self._core is not None and port is not None:
            self._server.use_http_port(port)

    def _use_router(self) -> None:
        assert self._core is not None
        if self._directory.find("router") is None:
            self._core.router_lost()
        else:
            self._core.router_replaced(time.monotonic())

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many are connected."""
        core = self._core
        if core is None:
            return Pong(pid=os.getpid(), incarnation=self.incarnation or 0, doing="starting")
        connections = self._server.connections
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing="draining" if core.draining else connections_in_words(connections),
            warnings=self._gate.warnings if self._gate is not None else (),
            gauges={"ws_connections": connections, **(self._gate.gauges("websocket") if self._gate else {})},
        )

    @handles(Intake)
    def take_or_refuse(self, message: Intake, sender: Address) -> Drained:
        """Refuses new messages and connections from now on, or takes them again."""
        if self._core is not None:
            self._server.take(message.open)
            self._health.forget()
        return Drained()

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Refuses new messages and connections; waits for the receipts of those that are on their way."""
        if self._core is None:
            return Drained()
        self._server.drain()
        end = self.loop.time() + message.grace_s
        while True:
            if not len(self._core.hold) or self.loop.time() >= end:
                return Drained()
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def on_stop(self) -> None:
        """Says goodbye to every client."""
        if self._core is not None:
            await self._server.shut_down(timeout_s=min(_CLOSE_WITHIN_S, self._server.limits.close_timeout_s))

    def _tick(self) -> None:
        self._server.tick(time.monotonic())
        self.call_later(self._tick_s, self._tick)

    # To the router

    def _route(self, message: Message) -> None:
        address = self._directory.address("router")
        if address is None:
            return  # what matters is held; the next directory brings the next router
        if isinstance(message, Deliver) and logger.isEnabledFor(logging.INFO):
            with logs.bind(correlation=message.correlation_id, session=message.session):
                logger.info("message of %d characters goes to its session", len(message.text))
        try:
            self.send(address, message)
        except FrameTooLarge:
            self._not_sent(message, "not_accepted", TOO_LARGE)

    def on_overflow(self, address: Address, message: object) -> None:
        """The router has more to do than it can: the sender may try again."""
        self._not_sent(message, "busy")

    def _not_sent(self, message: object, code: str, text: str = "") -> None:
        if isinstance(message, Deliver) and self._core is not None:
            self.loop.call_soon(self._core.refused, refusal_of(message, code, text))

    def on_dead_target(self, address: Address, message: object) -> None:
        """The router is dead; its next incarnation is on its way, or here already."""
        if self._core is None or not isinstance(message, Message):
            return
        if self._directory.address("router") in (None, address):
            self._core.router_lost(undelivered=message)
        elif isinstance(message, EndSession):  # the rest was sent again when that router came
            self._route(message)

    # From sessions and the router

    @handles(SessionEvents)
    def session_said(self, message: SessionEvents, sender: Address) -> None:
        """Events for who follows the session."""
        if self._core is not None:
            self._core.session_events(message, time.monotonic())

    @handles(Accepted)
    def accepted(self, message: Accepted, sender: Address) -> None:
        """A message stands in the journal."""
        if self._core is not None:
            self._core.accepted(message, time.monotonic())

    @handles(Refused)
    def refused(self, message: Refused, sender: Address) -> None:
        """A message was not taken."""
        if self._core is not None:
            self._core.refused(message)

    @handles(ReplayPage)
    def replayed(self, message: ReplayPage, sender: Address) -> None:
        """What somebody missed."""
        if self._core is not None:
            self._core.replay_page(message, time.monotonic())

    @handles(SessionLost)
    def session_lost(self, message: SessionLost, sender: Address) -> None:
        """A session's process died."""
        if self._core is not None:
            self._core.session_lost(message, time.monotonic())

    @handles(StopOutcome)
    def stopped(self, message: StopOutcome, sender: Address) -> None:
        """What a stop has stopped."""
        if self._core is not None:
            self._core.stop_outcome(message)

    @handles(ApprovalOutcome)
    def decided(self, message: ApprovalOutcome, sender: Address) -> None:
        """What became of a decision about a tool."""
        if self._core is not None:
            self._core.approval_outcome(message)

    # Pages

    def _page_wanted(self, link: Link, page: Page, request: RequestHead) -> None:
        self.spawn(self._answer_page(link, page, ",".join(request.every("accept"))), name=page.name)

    async def _answer_page(self, link: Link, page: Page, accept: str) -> None:
        if page.name == "metrics":
            metrics = metrics_page(await self._health.metrics(), accept)
            link.answer(metrics.status, metrics.body, content_type=metrics.content_type)
            return
        health = await self._health.health()
        link.answer(200, health_page(health.uptime_seconds), content_type="application/json")
