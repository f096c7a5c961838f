"""Decides what the tools of MCP servers are called."""

from __future__ import annotations

__all__ = ["PREFIX", "server_of", "tool_name"]

import hashlib
import re

PREFIX = "mcp__"
"""How these names begin, and no others: clients of MCP have agreed on `mcp__SERVER__TOOL`."""

_MOST_CHARS = 64
"""What every provider takes, of letters, digits, `_` and `-`."""
_HASH_CHARS = 8
_NOT_TAKEN = re.compile(r"[^A-Za-z0-9_-]")


def tool_name(server: str, tool: str) -> str:
    """The name under which the model knows a tool; always the same one for the same tool.

    A name that providers would not take is changed and ends with a piece of the original's hash.

    Args:
        server: the server's name in the configuration.
        tool: the tool's name, as the server gives it.
    """
    plain = f"{PREFIX}{server}__{tool}"
    taken = _NOT_TAKEN.sub("_", plain)
    if taken == plain and tool and len(plain) <= _MOST_CHARS:
        return plain
    mark = hashlib.sha256(tool.encode(errors="surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{taken[: _MOST_CHARS - _HASH_CHARS - 1]}_{mark}"


def server_of(name: str) -> str:
    """The server that a tool's name names; empty for a name that is no such one."""
    server, separator, tool = name.removeprefix(PREFIX).partition("__")
    return server if name.startswith(PREFIX) and separator and tool else ""
