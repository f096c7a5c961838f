"""Decides how an actor comes by its secrets: it resolves its own references, and nobody else has the values."""

from __future__ import annotations

__all__ = ["own_secrets"]

from openclaw_actors import logs
from openclaw_actors.config import resolve_all
from openclaw_actors.errors import ConfigError
from openclaw_actors.messages import Init, Reconfigure


def own_secrets(message: Init | Reconfigure) -> dict[str, str]:
    """Resolve the references of an `Init` or of another configuration, and keep their values out of this process's log.

    Returns:
        Dotted key -> value.

    Raises:
        ConfigError: one does not resolve; its text is one line, and names keys and references but no value.
    """
    try:
        # Without an environment: `start` has taken all secrets out of it.
        secrets = resolve_all(message.secrets, {})
    except ConfigError as error:
        raise ConfigError(["; ".join(map(str, error.problems))]) from None
    logs.register_secrets(secrets.values())
    return secrets
