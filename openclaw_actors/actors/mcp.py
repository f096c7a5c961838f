"""McpActor: one MCP server, as a program of its own or elsewhere. Its life and the connection's are one.

When the server dies, so does this actor, and the supervisor starts both again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from openclaw_actors import __version__, logs
from openclaw_actors.actors.own_secrets import own_secrets
from openclaw_actors.actors.session_limits import limit_memory
from openclaw_actors.actorsystem import AsyncActor, address_key, become_subreaper, handles
from openclaw_actors.config import decode
from openclaw_actors.config.mcp import McpServerConfig
from openclaw_actors.errors import ActorError, ActorGone, AskRefused, ConfigError
from openclaw_actors.messages import (
    Address,
    CallMcpTool,
    CancelMcpCall,
    Directory,
    GetMcpTools,
    GivesUp,
    Init,
    InitFailed,
    McpResult,
    McpTools,
    OffersChanged,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
)
from openclaw_actors.tools.mcp.chatter import Chatter
from openclaw_actors.tools.mcp.local import LocalServer, Unusable
from openclaw_actors.tools.mcp.offers import Listed, OfferRules, offers_of
from openclaw_actors.tools.mcp.words import text_of

if TYPE_CHECKING:
    from openclaw_actors.tools.mcp.connection import CallFailed, Connection

__all__ = ["McpActor"]

logger = logging.getLogger(__name__)

_MEMORY_MB = 512
"""Of this process, not of the server's: what a server can make us keep has an end."""
_CLOSE_S = 1.0
_LIST_S = 30.0
_RELIST_EVERY_S = 1.0
"""However often a server says that its tools have changed, it is asked no more often than this."""
_PROBE_S = 10.0
_LOOK_EVERY_S = 1.0
_WRITE_MARGIN_S = 1.0


class McpActor(AsyncActor):
    """Holds one MCP server, and calls its tools for all sessions."""

    process_name = "mcp"
    first_message = Init

    def __init__(self) -> None:
        super().__init__()
        self._serving: asyncio.Task[None] | None = None
        self._link: Connection | None = None
        self._local: LocalServer | None = None
        """Where the server is a program of ours."""
        self._offers = McpTools(version="", tools=())
        self._calls: dict[tuple[str, str], tuple[asyncio.Task[Any], Address, float]] = {}
        self._ends = asyncio.Event()
        self._broken = asyncio.Event()
        self._why = ""
        self._status = 0
        """Of the last HTTP answer that was an error, while there is no connection yet."""
        self._stale = False
        self._listing = False
        self._listed_at = 0.0
        self._probing = False
        self._looks = False
        self._answered_at = 0.0

    # Life

    @handles(Init)
    async def initialise(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Starts the server, connects, and learns what it offers."""
        self.incarnation = message.incarnation
        self._supervisor = sender
        self._server = message.name.partition(":")[2]
        logs.rebind(message.name)
        become_subreaper()  # what the server leaves behind is ended with it
        limit_memory(_MEMORY_MB)
        self._config = decode(message.settings)
        self._its = self._config.mcp.servers[self._server]
        self._chatter = Chatter(self._server)
        if self._its.command is not None:
            self._local = LocalServer(self._server, self._config, os.environ, self._chatter)
        self._places = asyncio.Semaphore(self._its.max_concurrent_calls)
        self._started: asyncio.Future[str] = self.loop.create_future()
        try:
            secrets = own_secrets(message)
        except ConfigError as error:
            self.stop_after_answer("not usable")
            return InitFailed(reason=str(error), code="configuration")
        prefix = f"mcp.servers.{self._server}."
        self._serving = self.spawn(
            self._serve({key.removeprefix(prefix): value for key, value in secrets.items()}), name="serve"
        )
        limit_s = self._its.start_timeout_seconds
        await asyncio.wait({self._started}, timeout=limit_s)
        reason = self._started.result() if self._started.done() else f"it was not ready within {limit_s:g} s"
        if not reason:
            self.unstash()
            logger.info("mcp:%s offers %d tools", self._server, len(self._offers.tools))
            return Ready(
                pid=os.getpid(), incarnation=message.incarnation, detail={"offers": self._offers.version}
            )
        self._started.cancel()
        self._say_last_words(reason)
        await self._close()
        self.stop_after_answer(reason)
        return InitFailed(reason=reason)

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """Answers go to who asks; no address is needed."""

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Only how it logs changes in a process that lives; for all else it is replaced."""
        config = decode(message.settings)
        logs.use(level=config.logging.level, form=config.logging.format)
        return Reconfigured()

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many calls are under way."""
        calls = len(self._calls)
        doing = f"{calls} calls" if calls else "idle"
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing=f"{doing}, {len(self._offers.tools)} tools",
        )

    async def on_stop(self) -> None:
        """Ends the server."""
        await self._close()

    # The server

    async def _serve(self, secrets: Mapping[str, str]) -> None:
        """Holds the connection until it breaks, or is to end."""
        reason = "the connection ended"
        try:
            if self._local is not None:
                await self._local.start(secrets)
            # Here, not above: it takes 40 MB, and nobody else needs it.
            from openclaw_actors.tools.mcp import connection

            async with connection.connect(
                self._transport(secrets),
                version=__version__,
                timeout_s=self._its.timeout_seconds,
                changed=self._tools_changed,
            ) as link:
                await self._use(link)
        except Unusable as error:
            reason = str(error)
        except (
            Exception
        ) as error:  # whatever the library stumbles over: the server is at fault, or the network
            logger.debug("mcp:%s", self._server, exc_info=error)
            reason = f"it answers HTTP {self._status}" if self._status else _words(error)
        if not self._ends.is_set():
            death = await self._local.death() if self._local is not None else ""
            await self._give_up(self._why or death or reason)

    async def _use(self, link: Connection) -> None:
        self._offers, self._link = self._choose(await link.list_tools(_LIST_S)), link
        self._status = 0
        if self._started.cancelled():
            return
        self._started.set_result("")
        self.spawn(link.watch_tools(self._tools_changed), name="watch tools")
        program = self._local.program if self._local is not None else None
        events = [self._ends, self._broken, *([program.over] if program is not None else [])]
        over = [self.loop.create_task(each.wait()) for each in events]
        try:
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._link = None
            for each in over:
                each.cancel()

    def _transport(self, secrets: Mapping[str, str]) -> AbstractAsyncContextManager[Any]:
        from openclaw_actors.tools.mcp import connection

        most = self._config.mcp.max_message_bytes
        program = self._local.program if self._local is not None else None
        if program is not None:
            return connection.transport_of_program(
                program, self._chatter, max_message_bytes=most, changed=self._tools_changed
            )
        assert self._its.url is not None
        return connection.transport_of_url(
            self._its.url,
            _headers(self._its, secrets),
            timeout_s=self._its.timeout_seconds,
            max_message_bytes=most,
            refused=self._refused,
        )

    def _refused(self, status: int) -> None:
        self._status = status

    async def _give_up(self, reason: str) -> None:
        if not self._started.done():
            self._started.set_result(reason)
            return
        if self._started.cancelled():
            return
        self._say_last_words(reason)
        self.send(self._supervisor, GivesUp(incarnation=self.incarnation or 0, reason=reason))
        await asyncio.sleep(0)  # those who wait for a call are told first
        self.stop(reason)

    def _say_last_words(self, reason: str) -> None:
        last = self._chatter.last
        logger.warning("mcp:%s: %s%s", self._server, reason, f"; it said: {last}" if last else "")

    async def _close(self) -> None:
        self._ends.set()
        if self._serving is not None and not self._serving.done():
            await asyncio.wait({self._serving}, timeout=_CLOSE_S if self._link is not None else 0)
            self._serving.cancel()
        if self._local is not None:
            await self._local.end()

    # What it offers

    @handles(GetMcpTools)
    def offers(self, message: GetMcpTools, sender: Address) -> McpTools:
        """What is known already."""
        return self._offers

    def _tools_changed(self) -> None:
        self._stale = True
        if not self._listing:
            self._listing = True
            self.spawn(self._list_again(), name="list tools")

    async def _list_again(self) -> None:
        try:
            while self._stale and self._link is not None:
                await asyncio.sleep(max(0.0, self._listed_at + _RELIST_EVERY_S - self.loop.time()))
                self._stale = False  # what changes from here on may not stand in this list
                self._listed_at = self.loop.time()
                await self._take_list()
        finally:
            self._listing = False

    async def _take_list(self) -> None:
        from openclaw_actors.tools.mcp.connection import CallFailed

        if self._link is None:
            return
        try:
            listed = await self._link.list_tools(_LIST_S)
        except CallFailed as failure:
            logger.warning("mcp:%s: its tools have changed, but are not told: %s", self._server, failure.code)
            return
        known, self._offers = self._offers, self._choose(listed)
        if known.version != self._offers.version:
            logger.info("mcp:%s offers %d tools now", self._server, len(self._offers.tools))
            changed = OffersChanged(incarnation=self.incarnation or 0, offers=self._offers.version)
            self.send(self._supervisor, changed)

    def _choose(self, listed: list[Listed]) -> McpTools:
        offers = offers_of(listed, OfferRules.of(self._server, self._config))
        for line in offers.left_out:
            logger.warning("mcp:%s: left out: %s", self._server, line)
        return offers.tools

    # Calls

    @handles(CallMcpTool)
    async def call(self, message: CallMcpTool, sender: Address) -> McpResult:
        """Calls a tool; as many at once as the configuration says, others wait."""
        if len(self._calls) >= self._its.max_concurrent_calls + self._config.mcp.max_waiting_calls:
            raise AskRefused("busy", f"the MCP server {self._server} is busy; try again later.")
        key = (address_key(sender), message.call_id)
        task = self.spawn(self._carry_out(message), name=f"call {message.call_id}")
        self._calls[key] = task, sender, time.monotonic()
        task.add_done_callback(lambda _: self._calls.pop(key, None))
        if not self._looks:
            self._looks = True
            self.call_later(_LOOK_EVERY_S, self._look_after_askers)
        outcome: McpResult | AskRefused = await task
        if isinstance(outcome, AskRefused):
            raise outcome
        return outcome

    @handles(CancelMcpCall)
    def cancel(self, message: CancelMcpCall, sender: Address) -> None:
        """Ends a call; the server is told."""
        self._cancel((address_key(sender), message.call_id))

    def _cancel(self, key: tuple[str, str]) -> None:
        call = self._calls.get(key)
        if call is not None:
            call[0].cancel()

    async def _carry_out(self, message: CallMcpTool) -> McpResult | AskRefused:
        # The answer to a session is a value here: an exception would be a crash of ours.
        began = self.loop.time()
        try:
            async with asyncio.timeout(message.timeout_s + _WRITE_MARGIN_S), self._places:
                if self._link is None:
                    return self._gone()
                left_s = message.timeout_s - (self.loop.time() - began)
                if left_s <= 0:
                    return self._late(message)
                return await self._ask_server(self._link, message, left_s)
        except TimeoutError:
            self._doubt()
            return self._late(message)

    async def _ask_server(
        self, link: Connection, message: CallMcpTool, left_s: float
    ) -> McpResult | AskRefused:
        from openclaw_actors.tools.mcp.connection import CallFailed

        arguments = msgspec.json.decode(message.arguments, type=dict[str, Any])
        try:
            result = await link.call(message.tool, arguments, left_s)
        except CallFailed as failure:
            return self._refusal(failure, message)
        self._answered_at = time.monotonic()
        text = text_of(result.content, result.structured_content, max_chars=self._config.mcp.max_result_chars)
        return McpResult(text=text, is_error=result.is_error)

    def _refusal(self, failure: CallFailed, message: CallMcpTool) -> AskRefused:
        if failure.code == "timeout":
            self._doubt()
            return self._late(message)
        if failure.code == "gone":
            self._broken.set()
            return self._gone()
        return AskRefused("failed", f"the MCP server {self._server}: {failure.text}")

    def _gone(self) -> AskRefused:
        text = f"the MCP server {self._server} ended before it answered; what the call has done is not known."
        return AskRefused("gone", text)

    def _late(self, message: CallMcpTool) -> AskRefused:
        text = f"the MCP server {self._server} did not answer within {message.timeout_s:g} s."
        return AskRefused("timeout", text)

    # Watching

    def _look_after_askers(self) -> None:
        """Finds out whether those who wait for a slow server still live: nobody else would end their calls."""
        now = time.monotonic()
        askers = {
            asker: sender for (asker, _), (_, sender, at) in self._calls.items() if now - at >= _LOOK_EVERY_S
        }
        for asker, sender in askers.items():
            with contextlib.suppress(ActorError):
                self.ask_then(sender, Ping(), partial(self._looked, asker), timeout_s=_PROBE_S)
        self._looks = bool(self._calls)
        if self._looks:
            self.call_later(_LOOK_EVERY_S, self._look_after_askers)

    def _looked(self, asker: str, _pong: object, error: ActorError | None) -> None:
        if isinstance(error, ActorGone):
            for key in [key for key in self._calls if key[0] == asker]:
                self._cancel(key)

    def _doubt(self) -> None:
        """A call was not answered: is it the tool, or does the server answer nothing any more?"""
        if not self._probing and self._link is not None:
            self._probing = True
            self.spawn(self._probe(self._link), name="probe")

    async def _probe(self, link: Connection) -> None:
        from openclaw_actors.tools.mcp.connection import CallFailed

        began = time.monotonic()
        try:
            await link.list_tools(_PROBE_S)
        except CallFailed as failure:
            if failure.code == "timeout" and self._answered_at < began and self._link is link:
                self._why = "it does not answer"
                self._broken.set()
        finally:
            self._probing = False


def _headers(server: McpServerConfig, secrets: Mapping[str, str]) -> dict[str, str]:
    headers = {name: secrets[f"headers.{name}"] for name in server.headers}
    if server.token is not None:
        headers["Authorization"] = f"Bearer {secrets['token']}"
    return headers


def _words(error: BaseException) -> str:
    """What went wrong, without what the server said."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    code = getattr(error, "code", None)
    return f"the connection failed ({type(error).__name__}{f', {code}' if code is not None else ''})"
