"""HttpChannel: what the gateway answers over HTTP. The shell around groups of routes."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import web

from openclaw_actors import logs
from openclaw_actors.actors.board import counters_of
from openclaw_actors.actors.channel import LONGEST_TICK_S, connections_in_words, tick_s
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.http_api import ApiRoutes
from openclaw_actors.actors.http_calls import ModelCalls
from openclaw_actors.actors.http_context import HttpContext, RouteGroup
from openclaw_actors.actors.http_deliveries import Deliveries
from openclaw_actors.actors.http_health import HealthRoutes
from openclaw_actors.actors.http_metrics import MetricsRoutes
from openclaw_actors.actors.http_openai import OpenAIRoutes
from openclaw_actors.actors.http_pages import PageRoutes
from openclaw_actors.actors.http_server import HEAD_TIMEOUT_S, HttpServer
from openclaw_actors.actors.http_turns import Turns
from openclaw_actors.actors.http_twilio import TwilioRoutes
from openclaw_actors.actors.listening import ListenFailed, listen, shown_address
from openclaw_actors.actors.own_secrets import SparedSecrets
from openclaw_actors.actors.principals import principals_of
from openclaw_actors.actors.tls_gate import TlsGate
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.channels.auth import Principals
from openclaw_actors.channels.calls import Calls
from openclaw_actors.channels.openai.repeats import Repeats
from openclaw_actors.channels.watch import Watches
from openclaw_actors.config import GatewayConfig, decode
from openclaw_actors.config.tls import TlsUnusable
from openclaw_actors.core.refusals import TOO_LARGE, refusal_of
from openclaw_actors.core.series import series
from openclaw_actors.errors import AskRefused, ConfigError, FrameTooLarge
from openclaw_actors.messages import (
    Accepted,
    Address,
    CallFailed,
    CancelCall,
    Complete,
    Completed,
    Deliver,
    Directory,
    Drain,
    Drained,
    Init,
    InitFailed,
    Intake,
    Message,
    ModelDelta,
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
    TreeChanges,
)

__all__ = ["HttpChannel"]

logger = logging.getLogger(__name__)


_GROUPS: tuple[Callable[[HttpContext], RouteGroup], ...] = (
    HealthRoutes,
    MetricsRoutes,
    OpenAIRoutes,
    ApiRoutes,
    TwilioRoutes,
    PageRoutes,
)


class HttpChannel(AsyncActor):
    """The HTTP channel."""

    process_name = "http"

    def __init__(self) -> None:
        super().__init__()
        self._server: HttpServer | None = None
        self._gate: TlsGate | None = None
        self._context: HttpContext
        self._directory: ServiceDirectory
        self._deliveries: Deliveries
        self._watches: Watches
        self._calls: Calls
        self._secrets: SparedSecrets
        self._seeking: asyncio.Task[None] | None = None
        self._tick_s = LONGEST_TICK_S
        self._ends = False

    # Life cycle

    @handles(Init)
    async def set_up(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Binds the port."""
        self.incarnation = message.incarnation
        self.counters = counters_of(message.name)
        config = decode(message.settings)
        self._directory = ServiceDirectory(message.directory)
        try:
            secrets = _secrets(message)
            principals = principals_of(config, secrets.values)
            self._gate = TlsGate.of(config.tls, handshake_s=HEAD_TIMEOUT_S)
            sockets = await listen(config.bind_address, config.http.port, setting="http.port")
        except ListenFailed as problem:
            self.stop_after_answer(problem.code)
            return InitFailed(reason=problem.reason, code=problem.code)
        except (ConfigError, TlsUnusable) as problem:
            self.stop_after_answer("configuration")
            return InitFailed(reason=str(problem), code="configuration")
        self._prepare_sessions(message.name, config)
        self._supervisor = sender
        self._repeats = Repeats()
        self._turns = Turns(self._deliveries, self._watches)
        self._port = sockets[0].getsockname()[1]
        self._context = self._made_context(config, secrets.values, principals)
        self._use_secrets(secrets)
        self._server = HttpServer(
            loop=self.loop,
            limits=config.http,
            routes=_routes(self._context),
            proxies=self._context.addresses,
            refused=self._connection_refused,
            gate=self._gate,
        )
        await self._server.serve(sockets)
        if self._gate is not None:
            self.spawn(self._gate.keep_fresh(), name="certificate")
        self._use_router()
        self._tick()
        address = shown_address(sockets)
        return Ready(pid=os.getpid(), incarnation=message.incarnation, detail={"address": address})

    def _use_secrets(self, secrets: SparedSecrets) -> None:
        if self._seeking is not None:
            self._seeking.cancel()
        self._secrets = secrets
        self._seeking = self.spawn(secrets.seek(), name="look for secrets")

    def _made_context(
        self, config: GatewayConfig, secrets: Mapping[str, str], principals: Principals
    ) -> HttpContext:
        return HttpContext(
            actor=self,
            supervisor=self._supervisor,
            directory=self._directory,
            config=config,
            secrets=secrets,
            principals=principals,
            deliveries=self._deliveries,
            turns=self._turns,
            calls=ModelCalls(self._calls),
            repeats=self._repeats,
            port=self._port,
        )

    @handles(Reconfigure)
    async def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Answers by another configuration; the port stays, and so does what is being answered."""
        config = decode(message.settings)
        try:
            secrets = _secrets(message)
            principals = principals_of(config, secrets.values)
        except ConfigError as problem:
            raise AskRefused("configuration", str(problem)) from None
        if self._server is None:
            raise AskRefused("unavailable", "it is starting")
        context = self._made_context(config, secrets.values, principals)
        await self._server.use(limits=config.http, routes=_routes(context), proxies=context.addresses)
        context.draining = self._context.draining
        # Who follows the gateway is let in again, or not, by the tokens and limits that hold now.
        self._context.live.shut_down("The configuration of this channel has changed; come again.")
        self._context = context
        self._use_secrets(secrets)
        timeout_s = config.http.accept_timeout_seconds
        self._deliveries.use(max_per_session=config.sessions.max_pending + 1, timeout_s=timeout_s)
        self._calls.use(wait_s=timeout_s)
        self._tick_s = tick_s(timeout_s)
        logs.use(level=config.logging.level, form=config.logging.format)
        return Reconfigured()

    def _prepare_sessions(self, channel: str, config: GatewayConfig) -> None:
        timeout_s = config.http.accept_timeout_seconds
        self._watches = Watches(channel, self._route)
        self._deliveries = Deliveries(
            channel=channel,
            route=self._route,
            max_per_session=config.sessions.max_pending + 1,
            timeout_s=timeout_s,
            settled=self._watches.unfollow,
            counters=self.counters,
        )
        self._calls = Calls(self._ask_model, wait_s=timeout_s)
        self._tick_s = tick_s(timeout_s)

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """A service was replaced; a new router gets what is held."""
        changed = self._directory.update(message)
        if self._server is not None and ("router" in changed or self._directory.find("router") is None):
            self._use_router()
        if self._server is not None and ("model" in changed or self._directory.find("model") is None):
            self._calls.model_replaced(time.monotonic())

    def _use_router(self) -> None:
        if self._directory.find("router") is None:
            self._deliveries.router_known = False
        else:
            # Who watches a session has asked for it before the message that it waits for comes.
            self._watches.router_replaced(time.monotonic())
            self._context.live.router_replaced()
            self._deliveries.router_replaced()

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many are connected."""
        server = self._server
        if server is None:
            return Pong(pid=os.getpid(), incarnation=self.incarnation or 0, doing="starting")
        connections = server.connections
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing="draining" if self._context.draining else connections_in_words(connections),
            problems=self._secrets.problems,
            warnings=self._gate.warnings if self._gate is not None else (),
            gauges=self._gate.gauges("http") if self._gate is not None else {},
        )

    @handles(Intake)
    def take_or_refuse(self, message: Intake, sender: Address) -> Drained:
        """Refuses new messages from now on, or takes them again."""
        if self._server is not None and not self._ends:
            self._context.draining = self._deliveries.draining = not message.open
            self._context.health.forget()
        return Drained()

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Takes no more messages, and waits for the receipts of those on their way; questions are still answered."""
        if self._server is None:
            return Drained()
        self._ends = True
        self._context.draining = True
        await self._deliveries.drain(message.grace_s)
        return Drained()

    async def on_stop(self) -> None:
        """Closes the port and lets answers that are on their way finish."""
        if self._server is not None:
            self._deliveries.shut_down()
            self._turns.shut_down()
            self._calls.shut_down()
            self._context.live.shut_down()
            await self._server.shut_down()

    def _tick(self) -> None:
        now = time.monotonic()
        self._deliveries.tick(now)
        self._watches.tick(now)
        self._calls.tick(now)
        self.call_later(self._tick_s, self._tick)

    def _connection_refused(self) -> None:
        self.counters[series("connections_rejected_total", channel="http")] += 1

    # To the router

    def _route(self, message: Message) -> None:
        address = self._directory.address("router")
        if address is None:
            return  # what matters is held; the next directory brings the next router
        try:
            self.send(address, message)
        except FrameTooLarge:
            self._not_sent(message, "not_accepted", TOO_LARGE)

    def on_overflow(self, address: Address, message: object) -> None:
        """Somebody has more to do than it can: the sender may try again."""
        if isinstance(message, Complete):
            self.loop.call_soon(self._calls.not_sent, message.call_id)
        else:
            self._not_sent(message, "busy")

    def _not_sent(self, message: object, code: str, text: str = "") -> None:
        if isinstance(message, Deliver):
            self.loop.call_soon(self._deliveries.refused, refusal_of(message, code, text))

    def on_dead_target(self, address: Address, message: object) -> None:
        """The router is dead; its next incarnation gets what is held, or has got it already."""
        if self._server is not None and self._directory.address("router") in (None, address):
            self._deliveries.router_known = False

    # To the model

    def _ask_model(self, message: Complete | CancelCall) -> bool:
        address = self._directory.address("model")
        if address is None:
            return False
        try:
            self.send(address, message)
        except FrameTooLarge:
            self.loop.call_soon(partial(self._calls.not_sent, message.call_id, too_large=True))
        return True

    @handles(ModelDelta, Completed, CallFailed)
    def model_said(self, message: ModelDelta | Completed | CallFailed, sender: Address) -> None:
        """A piece of an answer, or its end."""
        if self._server is not None:
            self._calls.said(message)

    # From sessions and the router

    @handles(Accepted)
    def accepted(self, message: Accepted, sender: Address) -> None:
        """A message stands in the journal."""
        if self._server is not None:
            self._deliveries.accepted(message)

    @handles(Refused)
    def refused(self, message: Refused, sender: Address) -> None:
        """A message was not taken."""
        if self._server is not None:
            self._deliveries.refused(message)

    @handles(SessionEvents)
    def session_said(self, message: SessionEvents, sender: Address) -> None:
        """Events for who watches the session."""
        if self._server is not None:
            self._watches.events(message, time.monotonic())

    @handles(ReplayPage)
    def replay_page(self, message: ReplayPage, sender: Address) -> None:
        """What somebody missed."""
        if self._server is not None:
            self._watches.page(message, time.monotonic())

    @handles(SessionLost)
    def session_lost(self, message: SessionLost, sender: Address) -> None:
        """A session's process died."""
        if self._server is not None:
            self._watches.lost(message, time.monotonic())

    @handles(TreeChanges)
    def tree_changed(self, message: TreeChanges, sender: Address) -> None:
        """Something is otherwise in the tree of actors."""
        if self._server is not None:
            self._context.live.take(message, sender)

    @handles(StopOutcome)
    def stopped(self, message: StopOutcome, sender: Address) -> None:
        """What a stop has stopped; whoever asked for one hears it as the end of its turn."""


def _routes(context: HttpContext) -> list[web.RouteDef]:
    return [route for group in _GROUPS for route in group(context).routes()]


def _secrets(message: Init | Reconfigure) -> SparedSecrets:
    return SparedSecrets(message, spared="channels.sms.", serves="the webhook of SMS")
