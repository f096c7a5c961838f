"""Reads from the configuration how often, and after how long, an actor is started again."""

from __future__ import annotations

from openclaw_actors.actors.catalogue import MCP
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.supervision import RestartLimits

__all__ = ["restart_limits"]


def restart_limits(config: GatewayConfig, name: str = "") -> RestartLimits:
    """The limits of one service; without a name, those of whatever has none of its own."""
    supervision = config.supervision
    backoff_s, backoff_max_s = supervision.backoff_seconds, supervision.backoff_max_seconds
    if name.startswith(MCP):
        server = config.mcp.servers[name.removeprefix(MCP)]
        backoff_s, backoff_max_s = server.backoff_seconds, server.backoff_max_seconds
    return RestartLimits(
        max_restarts=supervision.max_restarts,
        window_s=supervision.window_seconds,
        backoff_s=backoff_s,
        backoff_max_s=backoff_max_s,
    )
