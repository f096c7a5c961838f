"""Owns the section of MCP servers: programs and addresses of other people that offer tools."""

from __future__ import annotations

__all__ = ["MAX_MCP_SERVERS", "McpConfig", "McpServerConfig", "mcp_problems"]

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from openclaw_actors.config.kinds import (
    Bytes,
    Positive,
    SecretRef,
    Section,
    Setting,
    Text,
    Timeout,
    Url,
    VariableName,
)
from openclaw_actors.config.problems import Problem

MAX_MCP_SERVERS = 32
"""Each is a process or two, and its tools stand in every prompt."""

# The name is part of the names of its tools, which are at most 64 characters long and split at a double underscore.
ServerName = Annotated[
    str, Meta(pattern=r"^(?!.*__)[A-Za-z0-9]([A-Za-z0-9_-]{0,30}[A-Za-z0-9])?$", extra={"rule": "mcp_name"})
]
HeaderName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", extra={"rule": "header_name"})
]
Argument = Annotated[str, Meta(max_length=65_536)]

_OUR_HEADERS = frozenset(
    (
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "transfer-encoding",
        "upgrade",
    )
)


class McpServerConfig(Section, frozen=True):
    """One MCP server."""

    enabled: bool = True
    command: Text | None = None
    """A program that speaks MCP over its standard streams; or `url`."""
    args: tuple[Argument, ...] = ()
    env: dict[VariableName, Setting] = {}
    cwd: Text | None = None
    url: Url | None = None
    """Where a server speaks MCP over streamable HTTP."""
    token: SecretRef | None = None
    """Sent as `Authorization: Bearer`."""
    headers: dict[HeaderName, SecretRef] = {}
    tools: tuple[Text, ...] = ()
    """The only ones to offer, by the server's own names; () = all."""
    read_only: tuple[Text, ...] = ()
    """Tools that change nothing, whatever the server says of them."""
    trust_read_only_hints: bool = False
    """Believe the server when it says that a tool changes nothing."""
    timeout_seconds: Timeout = 60.0
    start_timeout_seconds: Timeout = 30.0
    max_concurrent_calls: Annotated[int, Meta(ge=1, le=1_000)] = 16
    backoff_seconds: Timeout = 1.0
    backoff_max_seconds: Timeout = 60.0


class McpConfig(Section, frozen=True):
    """MCP servers, and what is taken of each."""

    servers: dict[ServerName, McpServerConfig] = {}
    max_tools_per_server: Annotated[int, Meta(ge=1, le=1_000)] = 128
    max_schema_bytes: Annotated[int, Meta(ge=256, le=1_048_576)] = 32_768
    max_description_chars: Annotated[int, Meta(ge=16, le=65_536)] = 4_096
    max_result_chars: Annotated[int, Meta(ge=256, le=1_000_000)] = 100_000
    max_message_bytes: Bytes = 16_777_216
    max_waiting_calls: Positive = 64


def mcp_problems(config: McpConfig) -> Iterator[Problem]:
    """Find what does not go together in the section."""
    if len(config.servers) > MAX_MCP_SERVERS:
        yield _rule("mcp.servers", f"at most {MAX_MCP_SERVERS} servers", str(len(config.servers)))
    for name, server in config.servers.items():
        yield from _server_problems(f"mcp.servers.{name}", server)


def _server_problems(at: str, server: McpServerConfig) -> Iterator[Problem]:
    if (server.command is None) == (server.url is None):
        yield _rule(at, f"with exactly one of {at}.command and {at}.url")
        return
    unused = ("token", "headers") if server.url is None else ("args", "env", "cwd")
    given = "command" if server.url is None else "url"
    for name in unused:
        if getattr(server, name):
            yield _rule(f"{at}.{name}", f"left out where {at}.{given} is given")
    for header in server.headers:
        if header.lower() in _OUR_HEADERS:
            yield _rule(f"{at}.headers.{header}", "a header that the protocol does not set itself")
        elif header.lower() == "authorization" and server.token is not None:
            yield _rule(f"{at}.headers.{header}", f"left out where {at}.token is given")
    if server.backoff_seconds > server.backoff_max_seconds:
        most = f"at most {at}.backoff_max_seconds, {server.backoff_max_seconds:g}"
        yield _rule(f"{at}.backoff_seconds", most, f"{server.backoff_seconds:g}")


def _rule(key: str, allowed: str, value: str | None = None) -> Problem:
    return Problem(kind="rule", key=key, allowed=allowed, value=value)
