"""Knows the configuration of the router and its sessions, and decides whether another one concerns a session."""

from __future__ import annotations

from openclaw_actors import logs
from openclaw_actors.actors.router_view import limits_of
from openclaw_actors.config import decode
from openclaw_actors.config.changes import changes, tasks_of
from openclaw_actors.core.router import RouterCore
from openclaw_actors.messages import ForkedWith, Reconfigure

__all__ = ["RouterChange"]


class RouterChange:
    """The configuration that sessions are forked with.

    Args:
        settings: as `config.encode` writes it.
        secrets: dotted key -> reference, of what tools need in a session.
    """

    def __init__(self, settings: bytes, secrets: dict[str, str]) -> None:
        self.settings = settings
        self.secrets = secrets
        self.config = decode(settings)

    def take(self, message: Reconfigure, core: RouterCore) -> ForkedWith | None:
        """Take over another one; returns what the sessions that live are to be told, if it concerns them."""
        before, self.config = self.config, decode(message.settings)
        other_secrets = self.secrets != message.secrets
        self.settings, self.secrets = message.settings, message.secrets
        logs.use(level=self.config.logging.level, form=self.config.logging.format)
        core.use(limits_of(self.config))
        none: frozenset[str] = frozenset()
        concerned = "sessions" in tasks_of(changes(before, self.config), before=none, after=none)
        if not (concerned or other_secrets):
            return None
        return ForkedWith(settings=message.settings, secrets=message.secrets)
