"""Owns the tree of the configuration, and which of its keys were replaced, are derived, or wait for their feature."""

from __future__ import annotations

__all__ = ["DERIVED", "NOT_YET", "REPLACED", "GatewayConfig", "decode", "encode", "root_type"]

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta, inspect

from openclaw_actors.config.features import (
    ChannelsConfig,
    ContextConfig,
    DelegationConfig,
    PluginsConfig,
    SkillsConfig,
    ToolingConfig,
)
from openclaw_actors.config.kinds import ListenPort, Seconds, SecretRef, Section, Text
from openclaw_actors.config.mcp import McpConfig
from openclaw_actors.config.models import ANTHROPIC_MODEL, ANTHROPIC_VERSION
from openclaw_actors.config.sections import (
    ActorsConfig,
    AuthConfig,
    HttpConfig,
    LlmConfig,
    LoggingConfig,
    MemoryConfig,
    RetentionConfig,
    SecurityConfig,
    SessionsConfig,
    SupervisionConfig,
    TlsConfig,
    WebSocketConfig,
)

REPLACED: Mapping[str, str] = MappingProxyType(
    {
        "max_concurrent_sessions": "sessions.max_live",
        "session_timeout_minutes": "sessions.idle_seconds",
        "session_token_budget": "sessions.token_budget",
        "session_rate_limit_per_minute": "sessions.rate_limit_per_minute",
    }
)
"""Keys of the gateway that this one re-creates, and the key that does their work here."""

DERIVED: Mapping[str, str] = MappingProxyType(
    {
        "workspace": "<state_dir>/workspace",
        "memory.storage_path": "<state_dir>/memory",
        "llm.provider": (
            "demo without a key and an endpoint, openai with a key, anthropic with ANTHROPIC_API_KEY alone, "
            "else openai-compatible"
        ),
        "llm.model": f"gpt-4o; with the provider anthropic {ANTHROPIC_MODEL}",
        "llm.api_version": f"2024-10-21; with the provider anthropic {ANTHROPIC_VERSION}",
        "tooling.allowed_read_roots": "the workspace",
        "tooling.allowed_write_roots": "the workspace",
    }
)
"""Keys whose default follows from other keys; `null` in the file means: derive it."""

NOT_YET: tuple[str, ...] = (
    "plugins.enabled",
    "plugins.prefer",
    "plugins.overrides",
    "plugins.allow",
    "plugins.deny",
    "plugins.load",
    "plugins.entries",
    "plugins.slots",
    "plugins.native.image_gen",
    "plugins.native.calendar",
    "plugins.native.email",
)
"""Sections and keys whose feature does not exist yet: accepted, and named in a warning when they are changed."""


class GatewayConfig(Section, frozen=True):
    """Everything that can be configured. Made by `load`; passed down, never read again from the environment."""

    state_dir: Text = "~/.openclaw-actors"
    workspace: Text = "~/.openclaw-actors/workspace"  # derived: <state_dir>/workspace
    bind_address: Annotated[str, Meta(min_length=1, extra={"rule": "host"})] = "127.0.0.1"
    port: ListenPort = 18789
    auth_token: SecretRef | None = None
    graceful_shutdown_seconds: Seconds = 15.0
    auth: AuthConfig = AuthConfig()
    http: HttpConfig = HttpConfig()
    websocket: WebSocketConfig = WebSocketConfig()
    security: SecurityConfig = SecurityConfig()
    tls: TlsConfig = TlsConfig()
    sessions: SessionsConfig = SessionsConfig()
    supervision: SupervisionConfig = SupervisionConfig()
    actors: ActorsConfig = ActorsConfig()
    memory: MemoryConfig = MemoryConfig()
    retention: RetentionConfig = RetentionConfig()
    llm: LlmConfig = LlmConfig()
    logging: LoggingConfig = LoggingConfig()
    context: ContextConfig = ContextConfig()
    tooling: ToolingConfig = ToolingConfig()
    delegation: DelegationConfig = DelegationConfig()
    channels: ChannelsConfig = ChannelsConfig()
    plugins: PluginsConfig = PluginsConfig()
    skills: SkillsConfig = SkillsConfig()
    mcp: McpConfig = McpConfig()


@functools.cache
def root_type() -> inspect.Type:
    """The type of the whole configuration, looked into once: that takes longer than to read a file."""
    return inspect.type_info(GatewayConfig)


_decoder = msgspec.json.Decoder(GatewayConfig)


def encode(config: GatewayConfig) -> bytes:
    """Turn a configuration into JSON, to travel in an actor's `Init` message."""
    return msgspec.json.encode(config)


def decode(data: bytes) -> GatewayConfig:
    """Turn the JSON of `encode` back into the configuration.

    Raises:
        msgspec.ValidationError: it is not one.
    """
    return _decoder.decode(data)
