"""Between sessions, which call the tools of MCP servers, the McpActors, which hold the servers, and the supervisor."""

from __future__ import annotations

from openclaw_actors.messages.base import Plain, Value
from openclaw_actors.messages.model import ToolSpec

__all__ = [
    "CallMcpTool",
    "CancelMcpCall",
    "GetMcpTools",
    "GivesUp",
    "McpResult",
    "McpTools",
    "OffersChanged",
    "RemoteTool",
]


class RemoteTool(Value):
    """A tool of an MCP server, as it is offered to the model."""

    spec: ToolSpec
    """Under the name that the model uses, `mcp__SERVER__TOOL`."""
    remote_name: str
    """The server's own name of it."""
    read_only: bool
    """It changes nothing, and somebody who is trusted says so."""


class GetMcpTools(Plain):
    """session -> mcp: what does your server offer? (an ask) Answered by `McpTools`, at once."""


class McpTools(Plain):
    """All tools of one server, in the order of their names."""

    version: str
    """Another one where anything differs; as in `ServiceRef.offers`."""
    tools: tuple[RemoteTool, ...]


class CallMcpTool(Plain):
    """session -> mcp: call a tool (an ask). Answered by `McpResult`.

    Refused with code `busy` (too many calls wait), `timeout`, `failed` (the server refused, or sent what cannot be
    used), `gone` (the server ended; whether the call had an effect is not known), or `cancelled`.
    """

    call_id: str
    """Unique among the asker's calls; `CancelMcpCall` names it."""
    tool: str
    """The server's own name of it."""
    arguments: bytes
    """A JSON object."""
    timeout_s: float


class CancelMcpCall(Plain):
    """session -> mcp: the answer is no longer wanted; the server is told so."""

    call_id: str


class McpResult(Plain):
    """What a call answered, as text."""

    text: str
    is_error: bool
    """The tool itself says that it failed."""


class OffersChanged(Plain):
    """mcp -> supervisor: what I offer has changed; the next directory says so."""

    incarnation: int
    offers: str
    """As in `ServiceRef.offers`."""


class GivesUp(Plain):
    """mcp -> supervisor: I end myself, and why. A death follows."""

    incarnation: int
    reason: str
    """A few words for a person, without anything that the server said."""
