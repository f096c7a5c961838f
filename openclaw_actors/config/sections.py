"""Owns the sections of what the gateway itself is made of: their keys and defaults.

What each key means stands beside it in `conf/gateway.yaml`; a test keeps the two equal.
"""

from __future__ import annotations

__all__ = [
    "ActorsConfig",
    "AuthConfig",
    "HttpConfig",
    "LlmConfig",
    "LlmModel",
    "LlmProvider",
    "LoggingConfig",
    "MemoryConfig",
    "RetentionConfig",
    "SecurityConfig",
    "SessionsConfig",
    "SupervisionConfig",
    "TlsConfig",
    "WebSocketConfig",
]

from typing import Annotated, Literal

from msgspec import Meta

from openclaw_actors.config.kinds import (
    Bytes,
    Count,
    ListenPort,
    Name,
    Positive,
    Seconds,
    SecretRef,
    Section,
    Text,
    Timeout,
    Url,
)

BusyMode = Literal["queue", "collect", "interrupt", "steer"]
LlmProvider = Literal["demo", "openai", "anthropic", "ollama", "azure-openai", "openai-compatible"]
Days = Annotated[float, Meta(ge=0, le=36_500)]
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./:@+-]{1,128}$")]


class AuthConfig(Section, frozen=True):
    """Who may talk to the gateway."""

    tokens: dict[Name, SecretRef] = {}


class HttpConfig(Section, frozen=True):
    """The HTTP channel."""

    port: ListenPort = 18790
    max_body_bytes: Bytes = 1_048_576
    body_timeout_seconds: Timeout = 15.0
    max_connections: Positive = 1000
    max_connections_per_ip: Positive = 100
    requests_per_minute_per_client: Positive = 600
    accept_timeout_seconds: Timeout = 10.0
    chat_requests_per_minute: Count = 6000
    stream_keepalive_seconds: Timeout = 15.0
    send_timeout_seconds: Timeout = 30.0
    max_event_followers: Positive = 16
    event_buffer_bytes: Bytes = 1_048_576
    log_tail_bytes: Bytes = 4_194_304


class SessionsConfig(Section, frozen=True):
    """The life of a session and its limits."""

    idle_seconds: Timeout = 7200.0
    max_live: Positive = 256
    max_pending: Positive = 32
    busy_mode: BusyMode = "queue"
    busy_mode_by_channel: dict[Literal["websocket", "sms"], BusyMode] = {}
    turn_timeout_seconds: Timeout = 600.0
    start_timeout_seconds: Timeout = 10.0
    ping_interval_seconds: Timeout = 5.0
    ping_timeout_seconds: Timeout = 10.0
    token_budget: Count = 0
    turn_token_budget: Count = 1_000_000
    rate_limit_per_minute: Count = 0
    max_memory_mb: Count = 512


class SupervisionConfig(Section, frozen=True):
    """When a dead actor is started again, and how a stuck one is found."""

    max_restarts: Positive = 5
    window_seconds: Timeout = 60.0
    backoff_seconds: Timeout = 0.1
    backoff_max_seconds: Timeout = 30.0
    ping_interval_seconds: Timeout = 2.0
    ping_timeout_seconds: Timeout = 10.0


class ActorsConfig(Section, frozen=True):
    """The transport between the processes."""

    frame_max_bytes: Bytes = 67_108_864
    queue_max_messages: Positive = 10_000
    queue_max_bytes: Bytes = 67_108_864
    start_timeout_seconds: Timeout = 10.0
    ask_timeout_seconds: Timeout = 5.0


class MemoryConfig(Section, frozen=True):
    """The store, and what of it reaches the model."""

    storage_path: Text = "~/.openclaw-actors/memory"  # derived: <state_dir>/memory
    max_history_turns: Positive = 50
    max_cached_sessions: Positive = 256
    max_cached_bytes: Bytes = 67_108_864
    fsync: bool = True
    write_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    write_backoff_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    snapshot_every_records: Positive = 256
    snapshot_every_bytes: Bytes = 1_000_000
    max_record_bytes: Bytes = 33_554_432
    lock_timeout_seconds: Timeout = 10.0
    project_id: Text = "default"
    enable_compaction: bool = False
    compaction_threshold: Count = 40
    compaction_threshold_chars: Positive = 400_000
    compaction_keep_recent: Count = 10


class RetentionConfig(Section, frozen=True):
    """How long and how much is kept; 0 is for ever, and without limit."""

    enabled: bool = False
    interval_seconds: Timeout = 3600.0
    max_age_days: Days = 0.0
    max_total_mb: Count = 0
    min_idle_hours: Annotated[float, Meta(ge=0, le=876_000)] = 24.0
    archive_max_age_days: Days = 0.0
    archive_max_total_mb: Count = 0


class WebSocketConfig(Section, frozen=True):
    """The WebSocket channel."""

    max_message_bytes: Bytes = 1_048_576
    max_text_chars: Positive = 1_000_000
    max_connections: Positive = 1000
    max_connections_per_ip: Positive = 50
    messages_per_minute_per_connection: Positive = 120
    send_buffer_bytes: Bytes = 1_048_576
    accept_timeout_seconds: Timeout = 10.0
    open_timeout_seconds: Timeout = 10.0
    close_timeout_seconds: Timeout = 5.0
    ping_interval_seconds: Timeout = 20.0
    ping_timeout_seconds: Timeout = 20.0


class SecurityConfig(Section, frozen=True):
    """Who may reach the gateway, and what a public bind must not combine with."""

    allow_query_string_token: bool = False
    allowed_origins: tuple[Annotated[str, Meta(min_length=1, extra={"rule": "origin"})], ...] = ()
    trust_forwarded_headers: bool = False
    known_proxies: tuple[Annotated[str, Meta(extra={"rule": "network"})], ...] = ()
    allow_unsafe_tooling_on_public_bind: bool = False
    allow_plugin_bridge_on_public_bind: bool = False
    allow_raw_secret_refs_on_public_bind: bool = False


class TlsConfig(Section, frozen=True):
    """What both channels show to be who they are; without it they speak plain HTTP."""

    certificate: Text | None = None
    key: Text | None = None

    @property
    def on(self) -> bool:
        """Whether the channels speak TLS."""
        return self.certificate is not None and self.key is not None


class LlmModel(Section, frozen=True):
    """One more model: where it is, as far as that is not where the section's own model is."""

    provider: LlmProvider | None = None
    model: str = ""
    api_key: SecretRef | None = None
    endpoint: Url | None = None
    api_version: Text | None = None
    max_tokens: Positive | None = None


class LlmConfig(Section, frozen=True):
    """The model provider and how it is called."""

    provider: LlmProvider = "demo"  # derived: from the key and the endpoint
    model: Text = "gpt-4o"  # derived: from the provider
    api_key: SecretRef | None = None
    endpoint: Url | None = None
    api_version: Text = "2024-10-21"  # derived: from the provider
    max_tokens: Positive = 4096
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.7
    timeout_seconds: Seconds = 120.0
    connect_timeout_seconds: Timeout = 10.0
    retry_count: Annotated[int, Meta(ge=0, le=100)] = 3
    retry_backoff_seconds: Timeout = 1.0
    retry_backoff_max_seconds: Timeout = 30.0
    circuit_breaker_threshold: Positive = 5
    circuit_breaker_cooldown_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    circuit_breaker_cooldown_max_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    max_concurrent_calls: Positive = 256
    max_waiting_calls: Positive = 256
    max_response_bytes: Bytes = 16_777_216
    fallbacks: tuple[LlmModel, ...] = ()
    models: dict[ModelName, LlmModel] = {}
    tokens_per_day: Count = 0
    tokens_per_day_per_principal: Count = 0
    demo_faults: bool = False


class LoggingConfig(Section, frozen=True):
    """What is logged, and how much of it is kept."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    format: Literal["human", "json"] = "human"
    max_bytes: Annotated[int, Meta(ge=4_096, le=2**40)] = 10_485_760
    backups: Annotated[int, Meta(ge=0, le=1_000)] = 5
