"""Decides which of a server's tools are offered to the model, and how they are described to it."""

from __future__ import annotations

__all__ = ["Listed", "OfferRules", "Offers", "offers_of"]

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from openclaw_actors.config import GatewayConfig
from openclaw_actors.messages import McpTools, RemoteTool, ToolSpec
from openclaw_actors.tools.mcp.naming import tool_name
from openclaw_actors.tools.mcp.words import clean

_CUT = "… (cut)"
_VERSION_CHARS = 16
_DROPPED = ("$schema", "$id", "title")
"""Of a schema's root: some providers refuse them, and none needs them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as its server lists it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    read_only_hint: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRules:
    """What of a server's list is taken."""

    server: str
    allowed: frozenset[str]
    """The server's own names; empty: all."""
    read_only: frozenset[str]
    trust_hints: bool
    max_tools: int
    max_schema_bytes: int
    max_description_chars: int

    @classmethod
    def of(cls, server: str, config: GatewayConfig) -> OfferRules:
        """Those of the configuration."""
        mcp, its = config.mcp, config.mcp.servers[server]
        return cls(
            server=server,
            allowed=frozenset(its.tools),
            read_only=frozenset(its.read_only),
            trust_hints=its.trust_read_only_hints,
            max_tools=mcp.max_tools_per_server,
            max_schema_bytes=mcp.max_schema_bytes,
            max_description_chars=mcp.max_description_chars,
        )


@dataclass(frozen=True, slots=True)
class Offers:
    """What is offered, and what is not."""

    tools: McpTools
    left_out: tuple[str, ...]
    """A line each, for the log."""


def offers_of(listed: Iterable[Listed], rules: OfferRules) -> Offers:
    """Choose among a server's tools; the order of the result is that of the names, whatever the server's was."""
    taken: dict[str, RemoteTool] = {}
    left_out: list[str] = []
    listed = sorted(listed, key=lambda tool: tool.name)
    known = {tool.name for tool in listed}
    left_out += [f"{name}: the server has no such tool" for name in sorted(rules.allowed - known)]
    for tool in listed:
        if rules.allowed and tool.name not in rules.allowed:
            continue
        name = tool_name(rules.server, tool.name)
        shown = clean(tool.name)[: _VERSION_CHARS * 4]
        schema = _schema(tool.schema)
        size = len(msgspec.json.encode(schema))
        if name in taken:
            left_out.append(f"{shown}: another tool has its name")
        elif size > rules.max_schema_bytes:
            left_out.append(f"{shown}: its schema takes {size} bytes, the most is {rules.max_schema_bytes}")
        elif len(taken) >= rules.max_tools:
            left_out.append(f"{shown}: there are more than {rules.max_tools}")
        else:
            taken[name] = RemoteTool(
                spec=ToolSpec(name=name, description=_description(tool, rules), parameters=schema),
                remote_name=tool.name,
                read_only=tool.name in rules.read_only or (rules.trust_hints and tool.read_only_hint),
            )
    tools = tuple(taken[name] for name in sorted(taken))
    version = hashlib.sha256(msgspec.json.encode(tools)).hexdigest()[:_VERSION_CHARS]
    return Offers(McpTools(version=version, tools=tools), tuple(left_out))


def _description(tool: Listed, rules: OfferRules) -> str:
    text = clean(tool.description).strip()
    if not text:
        return f"{clean(tool.name)}, a tool of the MCP server {rules.server}."
    most = rules.max_description_chars
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def _schema(given: Mapping[str, Any]) -> dict[str, object]:
    """The schema as every provider takes it: an object, with its properties."""
    schema = {name: value for name, value in given.items() if name not in _DROPPED}
    schema["type"] = "object"
    if not isinstance(schema.get("properties"), dict):
        schema["properties"] = {}
    return schema
