"""Decides who may come in, from the tokens that a channel was handed."""

from __future__ import annotations

from collections.abc import Mapping

from openclaw_actors.channels.auth import DEFAULT_PRINCIPAL, Principals
from openclaw_actors.config import GatewayConfig
from openclaw_actors.errors import ConfigError

__all__ = ["principals_of"]

_TOKEN = "auth_token"
_NAMED_TOKENS = "auth.tokens."


def principals_of(config: GatewayConfig, secrets: Mapping[str, str]) -> Principals:
    """The principals of a configuration.

    Args:
        secrets: dotted key -> value.

    Raises:
        ConfigError: a configured token was not handed over: without it everybody would come in.
    """
    wanted = {_NAMED_TOKENS + name: name for name in config.auth.tokens}
    if config.auth_token is not None:
        wanted[_TOKEN] = DEFAULT_PRINCIPAL
    missing = [key for key in wanted if not secrets.get(key)]
    if missing:
        raise ConfigError([f"{missing[0]} does not resolve to a token: check what it refers to"])
    return Principals({name: secrets[key] for key, name in wanted.items()})
