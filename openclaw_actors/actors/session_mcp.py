"""What a session knows of the MCP servers: what they offer, and how one of their tools is called."""

from __future__ import annotations

__all__ = ["SessionMcp"]

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config.mcp import McpServerConfig
from openclaw_actors.core.turn_meter import UNKNOWN_TOOL
from openclaw_actors.errors import ActorError, ActorGone, AskRefused, FrameTooLarge
from openclaw_actors.messages import (
    CallMcpTool,
    CancelMcpCall,
    GetMcpTools,
    McpResult,
    McpTools,
    RemoteTool,
    ServiceRef,
    ToolSpec,
)
from openclaw_actors.tools.base import Tool, ToolFailed, ToolHost
from openclaw_actors.tools.mcp.naming import server_of
from openclaw_actors.tools.mcp.tool import McpTool

logger = logging.getLogger(__name__)

_FETCH_S = 5.0
_FIRST_FETCH_S = 1.0
_WAIT_S = 10.0
"""For a server that is being started, before a call fails."""
_ANSWER_MARGIN_S = 2.0


class SessionMcp:
    """The tools of all MCP servers of one session; a source of its toolbox.

    What a server offered is kept while it is being restarted: what the model is given does not change with that.

    Args:
        actor: the session.
        host: as the tools see it.
        directory: where the servers' actors live.
    """

    def __init__(self, actor: AsyncActor, host: ToolHost, directory: ServiceDirectory) -> None:
        self.specs: tuple[ToolSpec, ...] = ()
        self._actor = actor
        self._host = host
        self._directory = directory
        self._servers = self._enabled()
        self._offers: dict[str, McpTools] = {}
        self._tools: dict[str, Tool[Any]] = {}
        self._fetching: set[str] = set()
        self._gone: dict[str, str] = {}
        """Server -> instance that is known to be dead, and in the directory still."""
        self._changed = asyncio.Event()
        self._numbers = itertools.count(1)

    def use(self) -> None:
        """Another configuration holds: there may be other servers. What they offer is learnt with the directory."""
        self._servers = self._enabled()
        self._offers = {name: each for name, each in self._offers.items() if name in self._servers}
        self._list()

    def _enabled(self) -> dict[str, McpServerConfig]:
        return {name: each for name, each in self._host.config.mcp.servers.items() if each.enabled}

    # What there is

    async def open(self) -> None:
        """Learn what the servers that are up offer, before the first turn needs it."""
        await asyncio.wait(
            [asyncio.ensure_future(self._fetch(name)) for name in self._behind()] or [_nothing()],
            timeout=_FIRST_FETCH_S,
        )
        self.learn()

    def learn(self) -> None:
        """The directory is another one: find out what has changed."""
        self._wake()
        for name in self._behind():
            self._actor.spawn(self._fetch(name), name=f"tools of {name}")

    def _behind(self) -> list[str]:
        """The servers that offer something else than is known here."""
        found = []
        for name in self._servers:
            ref = self._ref(name)
            known = self._offers.get(name)
            if ref is not None and ref.offers and (known is None or known.version != ref.offers):
                found.append(name)
        return [name for name in found if name not in self._fetching]

    def _ref(self, server: str) -> ServiceRef | None:
        return self._directory.find(f"mcp:{server}")

    async def _fetch(self, server: str) -> None:
        ref = self._ref(server)
        if ref is None or server in self._fetching:
            return
        self._fetching.add(server)
        try:
            offers: McpTools = await self._actor.ask(ref.address, GetMcpTools(), timeout_s=_FETCH_S)
        except ActorError as error:
            logger.info("mcp:%s does not say what it offers: %s", server, type(error).__name__)
            return
        finally:
            self._fetching.discard(server)
        if server not in self._servers:
            return  # another configuration holds meanwhile
        self._take(server, offers)
        newest = self._ref(server)
        if newest is not None and newest.offers not in ("", offers.version, ref.offers):
            await self._fetch(server)

    def _take(self, server: str, offers: McpTools) -> None:
        self._offers[server] = offers
        self._list()

    def _list(self) -> None:
        remote = [(name, tool) for name in sorted(self._offers) for tool in self._offers[name].tools]
        self._tools = {tool.spec.name: self._tool(name, tool) for name, tool in remote}
        self.specs = tuple(self._tools[name].spec() for name in sorted(self._tools))
        self._wake()

    def _tool(self, server: str, remote: RemoteTool) -> McpTool:
        timeout_s = self._servers[server].timeout_seconds
        return McpTool(self._host, remote, timeout_s, partial(self._call, server))

    # Calling

    def find(self, name: str) -> Tool[Any] | None:
        """The tool of this name; one of a server that is not up yet is looked for again when it is called."""
        tool = self._tools.get(name)
        if tool is None and (server := server_of(name)) in self._servers and server not in self._offers:
            unknown = RemoteTool(
                spec=ToolSpec(name=name, description="", parameters={}), remote_name=name, read_only=False
            )
            timeout_s = self._servers[server].timeout_seconds
            return McpTool(self._host, unknown, timeout_s, partial(self._call_when_known, server))
        return tool

    async def _call_when_known(self, server: str, name: str, arguments: bytes, timeout_s: float) -> McpResult:
        await self._until(lambda: server in self._offers)
        if server not in self._offers:
            raise ToolFailed(f"Error: the MCP server {server} is not running.")
        tools: Iterable[RemoteTool] = self._offers[server].tools
        for tool in tools:
            if tool.spec.name == name:
                return await self._call(server, tool.remote_name, arguments, timeout_s)
        raise ToolFailed(UNKNOWN_TOOL)

    async def _call(self, server: str, tool: str, arguments: bytes, timeout_s: float) -> McpResult:
        await self._until(lambda: self._living(server) is not None)
        ref = self._living(server)
        if ref is None:
            raise ToolFailed(f"Error: the MCP server {server} is not running; try again later.")
        call_id = str(next(self._numbers))
        call = CallMcpTool(call_id=call_id, tool=tool, arguments=arguments, timeout_s=timeout_s)
        try:
            # Once only: nobody knows what a call has done that was not answered.
            result: McpResult = await self._actor.ask(
                ref.address, call, timeout_s=timeout_s + _ANSWER_MARGIN_S
            )
        except asyncio.CancelledError:
            self._actor.send(ref.address, CancelMcpCall(call_id=call_id))
            raise
        except AskRefused as refusal:
            if refusal.code == "gone":
                self._gone[server] = ref.instance
            status = "timeout" if refusal.code == "timeout" else "error"
            raise ToolFailed(f"Error: {refusal.text}", status=status) from None
        except FrameTooLarge:
            raise ToolFailed("Error: the arguments are too large.") from None
        except ActorGone:
            self._gone[server] = ref.instance
            raise ToolFailed(
                f"Error: the MCP server {server} ended before it answered; what the call has done is not known."
            ) from None
        except ActorError as error:
            raise ToolFailed(
                f"Error: the MCP server {server} cannot be asked ({type(error).__name__})."
            ) from None
        return result

    def _living(self, server: str) -> ServiceRef | None:
        ref = self._ref(server)
        return ref if ref is not None and ref.offers and self._gone.get(server) != ref.instance else None

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait, for a time, for something that a directory will bring."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                while not condition():
                    await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _nothing() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
