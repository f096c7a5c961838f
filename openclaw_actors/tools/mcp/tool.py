"""A tool of an MCP server, as the session that calls it sees it."""

from __future__ import annotations

__all__ = ["CallRemote", "McpTool"]

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from openclaw_actors.messages import McpResult, RemoteTool, ToolSpec
from openclaw_actors.tools.base import Effect, Tool, ToolFailed, ToolHost

_WAITS_S = 15.0
"""Beside the time of the call itself: for a server that is being started, and for the refusal to arrive."""

CallRemote: TypeAlias = Callable[[str, bytes, float], Awaitable[McpResult]]
"""Takes the server's name of the tool, arguments as JSON, seconds. Raises ToolFailed."""


class McpTool(Tool[Any]):
    """One tool of one server.

    Args:
        host: the session.
        remote: what is known of it.
        call_timeout_s: of one call.
        call: carries a call out.
    """

    arguments: type[Any] = dict[str, Any]

    def __init__(self, host: ToolHost, remote: RemoteTool, call_timeout_s: float, call: CallRemote) -> None:
        super().__init__(host)
        self.name = remote.spec.name
        self.description = remote.spec.description
        # Others may run beside it only where somebody who is trusted says that it changes nothing.
        self.effect = Effect.READS if remote.read_only else Effect.CHANGES
        self.dangerous = not remote.read_only
        self._remote = remote
        self._call_timeout_s = call_timeout_s
        self._call = call

    @property
    def timeout_s(self) -> float:
        return self._call_timeout_s + _WAITS_S

    def spec(self) -> ToolSpec:
        return self._remote.spec

    async def run(self, arguments: dict[str, Any]) -> str:
        data = msgspec.json.encode(arguments)
        result = await self._call(self._remote.remote_name, data, self._call_timeout_s)
        if result.is_error:
            raise ToolFailed(result.text)
        return result.text
