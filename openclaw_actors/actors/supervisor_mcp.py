"""What the supervisor does for MCP servers beside what it does for every service."""

from __future__ import annotations

from typing import Protocol

from openclaw_actors.actors.catalogue import MCP
from openclaw_actors.actors.service import Service
from openclaw_actors.actorsystem import address_key, handles
from openclaw_actors.config import GatewayConfig
from openclaw_actors.messages import Address, GivesUp, OffersChanged

__all__ = ["McpServers", "start_timeout_s"]

_IMPORT_S = 15.0
"""Beside the time of the server: its actor imports the library, and ends what it could not use."""


class _Supervisor(Protocol):
    _by_address: dict[str, Service]

    def _broadcast(self) -> None: ...


class McpServers:
    """Handlers of the supervisor."""

    @handles(OffersChanged)
    def offers_changed(self: _Supervisor, message: OffersChanged, sender: Address) -> None:
        """Tells everybody, in the next directory."""
        service = self._by_address.get(address_key(sender))
        if service is not None and service.incarnation == message.incarnation:
            service.offers = message.offers
            self._broadcast()

    @handles(GivesUp)
    def gives_up(self: _Supervisor, message: GivesUp, sender: Address) -> None:
        """Notes why a service ends; its exit follows."""
        service = self._by_address.get(address_key(sender))
        if service is not None and service.incarnation == message.incarnation:
            service.reason = message.reason


def start_timeout_s(config: GatewayConfig, name: str) -> float:
    """How long a service may take to be ready."""
    if name.startswith(MCP):
        return config.mcp.servers[name.removeprefix(MCP)].start_timeout_seconds + _IMPORT_S
    return config.actors.start_timeout_seconds
