"""Owns the list of the actors: which class stands behind which name. Actors find each other here, without imports."""

from __future__ import annotations

import importlib

from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config import GatewayConfig

__all__ = ["CHANNELS", "MCP", "OUTBOXES", "SERVICES", "is_essential", "load", "load_all", "services_of"]

SERVICES = ("persistence", "model", "router", "websocket", "http")
"""The supervisor's children, in the order in which they start; beside them those that are configured."""

OUTBOXES = ("sms",)
"""The services through which the replies of some sessions leave."""

CHANNELS = ("websocket", "http")
"""The services through which people reach the gateway."""

MCP = "mcp:"
"""How the services begin that hold an MCP server each."""

_CLASSES = {
    "supervisor": "supervisor:Supervisor",
    "persistence": "persistence:PersistenceActor",
    "model": "model:ModelActor",
    "router": "router:SessionRouter",
    "session": "session:SessionActor",
    "websocket": "websocket:WebSocketChannel",
    "http": "http:HttpChannel",
    "sms": "sms:SmsOutbox",
    "search": "search:SearchActor",
    "mcp": "mcp:McpActor",
    "configuration": "config_reader:ConfigurationReader",
}


def services_of(config: GatewayConfig) -> tuple[str, ...]:
    """The supervisor's children under this configuration, in the order in which they start."""
    configured = (
        ("sms", config.channels.sms.twilio.enabled),
        ("search", config.plugins.native.web_search.enabled),
    )
    servers = sorted(name for name, server in config.mcp.servers.items() if server.enabled)
    optional = (name for name, enabled in configured if enabled)
    return (*SERVICES, *optional, *(f"{MCP}{name}" for name in servers))


def is_essential(name: str) -> bool:
    """Whether the gateway is not ready without this service."""
    return not name.startswith(MCP)


def load(name: str) -> type[AsyncActor]:
    """Import an actor's class by the actor's name; raises KeyError for an unknown one."""
    module, _, class_name = _CLASSES[name.partition(":")[0]].partition(":")
    actor_class: type[AsyncActor] = getattr(
        importlib.import_module(f"openclaw_actors.actors.{module}"), class_name
    )
    return actor_class


def load_all() -> None:
    """Import every actor, so that the processes forked from here share the memory of all code."""
    for name in _CLASSES:
        load(name)
