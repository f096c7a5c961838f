"""Decides whom a changed key concerns, and what it takes there: a message, another process, or another start.

The names are those of the services, `start`, `supervisor`, and `sessions` for the conversations that live.
"""

from __future__ import annotations

__all__ = ["EFFECTS", "Concern", "Effect", "concern_of", "concerns_of", "effect_of"]

from collections.abc import Mapping
from typing import Literal, TypeAlias

Effect: TypeAlias = Literal["at_once", "actor_restart", "gateway_restart"]
"""When a changed key takes effect; that of a key with several concerns is the hardest of theirs."""

Concern: TypeAlias = Mapping[str, Effect]
"""Name of an actor -> what it takes there."""

_MCP = "mcp:"
_SERVERS = "mcp.servers"
_HARDNESS: tuple[Effect, ...] = ("at_once", "actor_restart", "gateway_restart")


def _live(*names: str) -> Concern:
    return dict.fromkeys(names, "at_once")


_GATEWAY: Concern = {"start": "gateway_restart"}
_STORE: Concern = {"persistence": "actor_restart"}
_BOTH_CHANNELS = _live("websocket", "http")
_SESSIONS = _live("router", "sessions")
"""The router holds the configuration of the conversations that it forks later."""

EFFECTS: Mapping[str, Concern] = {
    "state_dir": _GATEWAY,
    "workspace": _SESSIONS,
    "bind_address": {"websocket": "actor_restart", "http": "actor_restart"},
    "port": {"websocket": "actor_restart"},
    "auth_token": _BOTH_CHANNELS,
    "auth": _BOTH_CHANNELS,
    "graceful_shutdown_seconds": _live("start", "supervisor"),
    "tls": {"websocket": "actor_restart", "http": "actor_restart"},
    "retention": _STORE,
    "http": _live("http"),
    "http.port": {"http": "actor_restart"},
    "websocket": _live("websocket"),
    "websocket.max_text_chars": _BOTH_CHANNELS,
    "websocket.accept_timeout_seconds": _live("websocket", "router", "sessions"),
    "security": _BOTH_CHANNELS,
    "sessions": _SESSIONS,
    "sessions.max_live": _live("router"),
    "sessions.max_pending": _live("router", "sessions", "websocket", "http"),
    "sessions.start_timeout_seconds": _live("router"),
    "sessions.ping_interval_seconds": _live("router"),
    "sessions.ping_timeout_seconds": _live("router"),
    "supervision": _live("start", "supervisor", "router"),
    "actors": _GATEWAY,
    "actors.start_timeout_seconds": _live("start", "supervisor"),
    "actors.ask_timeout_seconds": _live("start", "supervisor", "http"),
    "memory": _STORE,
    "memory.storage_path": _GATEWAY,
    "memory.max_history_turns": {**_STORE, **_SESSIONS},
    "memory.max_record_bytes": {**_STORE, **_SESSIONS},
    "memory.project_id": _SESSIONS,
    "memory.enable_compaction": _SESSIONS,
    "memory.compaction_threshold": _SESSIONS,
    "memory.compaction_threshold_chars": _SESSIONS,
    "memory.compaction_keep_recent": _SESSIONS,
    "llm": _live("model"),
    "llm.provider": _live("model", "persistence", "http", "router", "sessions"),
    "llm.model": _live("model", "persistence", "http"),
    "llm.models": _live("model", "http"),
    "llm.tokens_per_day_per_principal": _live("model", "router", "sessions"),
    "llm.demo_faults": _live("model", "router", "sessions"),
    "logging": _live("start", "supervisor"),
    "logging.level": _live("everybody"),
    "logging.format": _live("everybody"),
    "context": _SESSIONS,
    "tooling": _SESSIONS,
    "delegation": _SESSIONS,
    "channels.sms.twilio": _live("sms", "http"),
    "plugins": _SESSIONS,
    "plugins.native.web_search": _live("search", "router", "sessions"),
    "skills": _SESSIONS,
    "mcp": {"mcp": "actor_restart"},
    _SERVERS: {"mcp": "actor_restart", **_SESSIONS},
}
"""Key or section -> whom it concerns; the longest that a key begins with holds for it."""


def concerns_of(key: str, services: frozenset[str]) -> dict[str, Effect]:
    """Whom a key concerns.

    Args:
        key: dotted, as changes name it.
        services: the names of the services that there are, before or after the change.
    """
    found: dict[str, Effect] = {}
    for name, effect in concern_of(key).items():
        if name == "everybody":
            found.update(dict.fromkeys(("start", "supervisor", "sessions", *sorted(services)), effect))
        elif name == "mcp":
            found.update((each, effect) for each in _servers_of(key, services))
        elif name in services or name in ("start", "supervisor", "sessions"):
            found[name] = effect
    return found


def effect_of(key: str) -> Effect:
    """When a change of a key takes effect."""
    return max(concern_of(key).values(), key=_HARDNESS.index)


def concern_of(key: str) -> Concern:
    """The rule of a key: whom it concerns, whoever there is. `mcp` stands for the servers, `everybody` for all."""
    parts = key.split(".")
    above = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next(EFFECTS[each] for each in above if each in EFFECTS)


def _servers_of(key: str, services: frozenset[str]) -> list[str]:
    """The services of the servers that a key is about: one, or all of them."""
    inside = key.removeprefix(f"{_SERVERS}.")
    if inside != key:
        return [each for each in (f"{_MCP}{inside.partition('.')[0]}",) if each in services]
    return [each for each in services if each.startswith(_MCP)]
