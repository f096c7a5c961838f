"""Decides what a service is given of the configuration and of the secrets: those that it needs, and no others."""

from __future__ import annotations

__all__ = ["secrets_of", "with_ports"]

from collections.abc import Mapping

import msgspec

from openclaw_actors.actors.catalogue import MCP
from openclaw_actors.config import GatewayConfig

_TOKENS = ("auth_token", "auth.tokens.")
_TWILIO = "channels.sms.twilio."
_SECRETS: Mapping[str, tuple[str, ...]] = {
    "model": ("llm.",),
    # Which file a database is, the tool in the session has to know; the router passes the reference on.
    "router": ("plugins.native.database.",),
    "websocket": _TOKENS,
    "http": _TOKENS,
    "sms": (_TWILIO,),
    "search": ("plugins.native.web_search.",),
}
"""How the keys of a service's secrets begin."""


def secrets_of(name: str, config: GatewayConfig, secrets: Mapping[str, str]) -> dict[str, str]:
    """References to the secrets that a service needs.

    Args:
        secrets: dotted key -> reference, of all of them.
    """
    wanted = (f"mcp.servers.{name.removeprefix(MCP)}.",) if name.startswith(MCP) else _SECRETS.get(name, ())
    if name == "http" and config.channels.sms.twilio.enabled:
        wanted = (*wanted, _TWILIO)
    return {key: ref for key, ref in secrets.items() if key.startswith(wanted)}


def with_ports(config: GatewayConfig, *, ws: str, http: str) -> GatewayConfig:
    """The configuration, with the ports where clients know the channels in the place of any free ones.

    Args:
        ws: HOST:PORT of the WebSocket channel; empty while it has never listened.
        http: that of the HTTP channel.
    """
    replace = msgspec.structs.replace
    if config.port == 0 and ws:
        config = replace(config, port=_port_of(ws))
    if config.http.port == 0 and http:
        config = replace(config, http=replace(config.http, port=_port_of(http)))
    return config


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])
