"""A connection to one MCP server, by the official library. Importing this takes 40 MB: only an McpActor does."""

from __future__ import annotations

__all__ = ["CallFailed", "Connection", "connect", "transport_of_program", "transport_of_url"]

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import mcp
from mcp.client import IncomingMessage, Transport
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.types import CallToolResult, Implementation, ToolListChangedNotification
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT
from pydantic import ValidationError

from openclaw_actors.tools.mcp.chatter import Chatter
from openclaw_actors.tools.mcp.http import http_client
from openclaw_actors.tools.mcp.offers import Listed
from openclaw_actors.tools.mcp.program import ServerProgram
from openclaw_actors.tools.mcp.stdio import stdio_transport
from openclaw_actors.tools.mcp.words import clean

logger = logging.getLogger(__name__)

_MOST_PAGES = 100
_MOST_TOOLS = 10_000
_ERROR_CHARS = 2_000
_SESSION_LOST = "Session terminated"
"""What the library says where a server over HTTP no longer knows its session: it was restarted, or has forgotten us."""

# The library logs what servers say, with tracebacks, and URLs with their queries.
for _name in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class CallFailed(Exception):
    """Raised where a request got no result.

    Args:
        code: `timeout`, `gone` (the connection has ended) or `failed`.
        text: what the server, or the library, says.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def transport_of_program(
    program: ServerProgram, chatter: Chatter, *, max_message_bytes: int, changed: Callable[[], None]
) -> AbstractAsyncContextManager[Any]:
    """How messages travel to a program that runs."""
    return stdio_transport(program, chatter, max_message_bytes=max_message_bytes, changed=changed)


@asynccontextmanager
async def transport_of_url(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    max_message_bytes: int,
    refused: Callable[[int], None],
) -> AsyncIterator[Any]:
    """How messages travel to a server elsewhere; `http_client` says what the arguments are."""
    async with (
        http_client(
            headers, timeout_s=timeout_s, max_message_bytes=max_message_bytes, refused=refused
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=max_message_bytes) as streams,
    ):
        yield streams


class Connection:
    """What can be asked of a server."""

    def __init__(self, client: mcp.Client) -> None:
        self._client = client

    @property
    def protocol(self) -> str:
        """The version of the protocol that was agreed on."""
        return self._client.protocol_version

    async def list_tools(self, timeout_s: float) -> list[Listed]:
        """Everything that the server offers, page by page, up to a bound.

        Raises:
            CallFailed: it does not say.
        """
        found: list[Listed] = []
        cursor: str | None = None
        with _failures():
            async with asyncio.timeout(timeout_s):
                for _ in range(_MOST_PAGES):
                    page = await self._client.list_tools(cursor=cursor, cache_mode="refresh")
                    found += map(_listed, page.tools)
                    cursor = page.next_cursor
                    if cursor is None or len(found) > _MOST_TOOLS:
                        break
        return found

    async def call(self, tool: str, arguments: dict[str, Any], timeout_s: float) -> CallToolResult:
        """Call a tool. Whoever cancels this cancels the call, and the server is told so.

        Raises:
            CallFailed: there is no result.
        """
        with _failures():
            return await self._client.call_tool(tool, arguments, read_timeout_seconds=timeout_s)

    async def watch_tools(self, changed: Callable[[], None]) -> None:
        """Listen for changes of the list of tools, where the protocol wants to be asked; runs until cancelled."""
        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, mcp.MCPError, TimeoutError):
            async with self._client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    changed()


@asynccontextmanager
async def connect(
    transport: Transport, *, version: str, timeout_s: float, changed: Callable[[], None]
) -> AsyncIterator[Connection]:
    """Connect, and agree on a version of the protocol. What runs inside is cancelled when the connection breaks.

    Args:
        version: ours, told to the server.
        timeout_s: of one request of the library's own.
        changed: called when the server says that its tools have changed.

    Raises:
        Exception: whatever the transport or the library stumbled over, also several at once.
    """

    async def heard(message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            changed()

    client = mcp.Client(
        transport,
        read_timeout_seconds=timeout_s,
        message_handler=heard,
        client_info=Implementation(name="openclaw-actors", version=version),
        cache=None,
    )
    async with client:
        yield Connection(client)


def _listed(tool: mcp.Tool) -> Listed:
    hints = tool.annotations
    return Listed(
        name=tool.name,
        description=tool.description or "",
        schema=tool.input_schema,
        read_only_hint=hints is not None and hints.read_only_hint is True,
    )


@contextlib.contextmanager
def _failures() -> Any:
    try:
        yield
    except TimeoutError:
        raise CallFailed("timeout", "it did not answer in time") from None
    except mcp.MCPError as error:
        code = {REQUEST_TIMEOUT: "timeout", CONNECTION_CLOSED: "gone"}.get(error.code, "failed")
        if error.message == _SESSION_LOST:
            code = "gone"
        raise CallFailed(code, clean(error.message)[:_ERROR_CHARS]) from None
    except ValidationError:
        raise CallFailed("failed", "its answer does not follow the protocol") from None
    except (RuntimeError, ValueError) as error:
        raise CallFailed("failed", clean(str(error))[:_ERROR_CHARS]) from None
