"""Owns the sections of what builds on the gateway: tools, sub-agents, SMS, plugins, skills."""

from __future__ import annotations

__all__ = [
    "ChannelsConfig",
    "ContextConfig",
    "DelegationConfig",
    "DelegationProfile",
    "NativePluginsConfig",
    "PluginEntry",
    "PluginsConfig",
    "SkillEntry",
    "SkillsConfig",
    "SmsConfig",
    "ToolingConfig",
    "TwilioConfig",
]

from typing import Annotated, Any, Literal

from msgspec import Meta

from openclaw_actors.config.kinds import (
    Bytes,
    Count,
    PhoneNumber,
    Port,
    Positive,
    Seconds,
    SecretRef,
    Section,
    Text,
    Timeout,
    Url,
    VariableName,
)

FreeForm = Annotated[dict[str, Any], Meta(extra={"rule": "free"})]
Side = Literal["native", "bridge"]


class ToolingConfig(Section, frozen=True):
    """What tools may do."""

    allow_shell: bool = False
    approval: Literal["never", "dangerous", "always"] = "never"
    allowed_read_roots: tuple[Text, ...] = ()  # derived: the workspace
    allowed_write_roots: tuple[Text, ...] = ()  # derived: the workspace
    tool_timeout_seconds: Seconds = 30.0
    max_output_bytes: Bytes = 65_536
    max_memory_mb: Count = 1024
    max_processes: Count = 256
    max_file_mb: Count = 1024
    pass_environment: tuple[VariableName, ...] = ()
    parallel_tool_execution: bool = True
    require_tool_approval: bool = False
    approval_required_tools: tuple[Text, ...] = ("shell", "write_file")
    approval_timeout_seconds: Timeout = 300.0
    hooks: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")], ...] = ()
    max_iterations: Annotated[int, Meta(ge=1, le=1_000)] = 10
    max_identical_calls: Annotated[int, Meta(ge=0, le=1_000)] = 5


class ContextConfig(Section, frozen=True):
    """What of the workspace the model is given."""

    workspace_files: bool = True
    max_file_bytes: Bytes = 65_536
    max_total_bytes: Bytes = 131_072


class DelegationProfile(Section, frozen=True):
    """One kind of sub-agent."""

    name: str = ""
    system_prompt: str = ""
    allowed_tools: tuple[Text, ...] = ()
    max_iterations: Positive = 5
    max_history_turns: Positive = 20


class DelegationConfig(Section, frozen=True):
    """Sub-agents."""

    enabled: bool = False
    max_depth: Count = 3
    profiles: dict[Text, DelegationProfile] = {}


class TwilioConfig(Section, frozen=True):
    """SMS by Twilio."""

    enabled: bool = False
    account_sid: Text | None = None
    auth_token_ref: SecretRef | None = None
    messaging_service_sid: Text | None = None
    from_number: PhoneNumber | None = None
    api_base_url: Url = "https://api.twilio.com"
    webhook_path: Annotated[str, Meta(pattern=r"^/[^\s?#{}]*$", max_length=2_048, extra={"rule": "path"})] = (
        "/twilio/sms/inbound"
    )
    webhook_public_base_url: Url | None = None
    validate_signature: bool = True
    allowed_from_numbers: tuple[PhoneNumber, ...] = ()
    allowed_to_numbers: tuple[PhoneNumber, ...] = ()
    max_inbound_chars: Positive = 2000
    rate_limit_per_from_per_minute: Positive = 30
    auto_reply_for_blocked: bool = False
    help_text: Text = "OpenClaw: reply STOP to opt out."
    max_reply_parts: Annotated[int, Meta(ge=1, le=1_000)] = 10
    max_concurrent_sends: Annotated[int, Meta(ge=1, le=1_000)] = 16
    request_timeout_seconds: Timeout = 15.0
    retry_backoff_seconds: Timeout = 1.0
    retry_backoff_max_seconds: Timeout = 60.0
    retry_for_seconds: Timeout = 14_400.0
    ambiguous_grace_seconds: Seconds = 60.0
    resend_ambiguous: bool = False


class SmsConfig(Section, frozen=True):
    """The SMS channel."""

    twilio: TwilioConfig = TwilioConfig()


class ChannelsConfig(Section, frozen=True):
    """Channels beside WebSocket and HTTP."""

    sms: SmsConfig = SmsConfig()


class WebSearchConfig(Section, frozen=True):
    """The tool web_search."""

    enabled: bool = False
    provider: Literal["tavily", "brave", "searxng"] = "tavily"
    api_key: SecretRef | None = None
    endpoint: Url | None = None
    max_results: Annotated[int, Meta(ge=1, le=20)] = 5


class WebFetchConfig(Section, frozen=True):
    """The tool web_fetch."""

    enabled: bool = False
    max_size_kb: Annotated[int, Meta(ge=1, le=65_536)] = 512
    timeout_seconds: Timeout = 15.0
    user_agent: Annotated[str, Meta(pattern=r"^[!-~][ -~]{0,499}$", extra={"rule": "header"})] = (
        "OpenClaw/1.0"
    )
    allowed_private_hosts: tuple[Annotated[str, Meta(min_length=1, extra={"rule": "host"})], ...] = ()


class GitToolsConfig(Section, frozen=True):
    """The tool git."""

    enabled: bool = False
    allow_push: bool = False
    max_diff_bytes: Bytes = 65_536


class CodeExecConfig(Section, frozen=True):
    """The tool code_exec."""

    enabled: bool = False
    backend: Literal["process", "docker"] = "process"
    docker_image: Text = "python:3.12-slim"
    timeout_seconds: Timeout = 30.0
    max_output_bytes: Bytes = 65_536
    allowed_languages: tuple[Text, ...] = ("python", "javascript", "bash")


class ImageGenConfig(Section, frozen=True):
    """The tool image_gen."""

    enabled: bool = False
    provider: Literal["openai"] = "openai"
    model: Text = "dall-e-3"
    size: Text = "1024x1024"
    quality: Text = "standard"
    endpoint: Url | None = None
    api_key: SecretRef | None = None


class PdfReadConfig(Section, frozen=True):
    """The tool pdf_read."""

    enabled: bool = False
    max_pages: Positive = 50
    max_output_chars: Positive = 100_000


class CalendarConfig(Section, frozen=True):
    """The tool calendar."""

    enabled: bool = False
    provider: Literal["google"] = "google"
    credentials_path: Text | None = None
    calendar_id: Text = "primary"
    max_events: Positive = 25


class EmailConfig(Section, frozen=True):
    """The tool email."""

    enabled: bool = False
    smtp_host: Text | None = None
    smtp_port: Port = 587
    smtp_use_tls: bool = True
    imap_host: Text | None = None
    imap_port: Port = 993
    username: Text | None = None
    password_ref: SecretRef | None = None
    from_address: Text | None = None
    max_results: Positive = 20


class DatabaseConfig(Section, frozen=True):
    """The tool database."""

    enabled: bool = False
    provider: Literal["sqlite", "postgres", "mysql"] = "sqlite"
    connection_string: SecretRef | None = None
    allow_write: bool = False
    timeout_seconds: Timeout = 30.0
    max_rows: Positive = 1000


class NativePluginsConfig(Section, frozen=True):
    """The tools that ship with the gateway but are off until asked for."""

    web_search: WebSearchConfig = WebSearchConfig()
    web_fetch: WebFetchConfig = WebFetchConfig()
    git_tools: GitToolsConfig = GitToolsConfig()
    code_exec: CodeExecConfig = CodeExecConfig()
    image_gen: ImageGenConfig = ImageGenConfig()
    pdf_read: PdfReadConfig = PdfReadConfig()
    calendar: CalendarConfig = CalendarConfig()
    email: EmailConfig = EmailConfig()
    database: DatabaseConfig = DatabaseConfig()


class PluginEntry(Section, frozen=True):
    """The settings of one plugin."""

    enabled: bool = True
    config: FreeForm = {}


class PluginsLoadConfig(Section, frozen=True):
    """Where plugins are looked for."""

    paths: tuple[Text, ...] = ()


class PluginsConfig(Section, frozen=True):
    """Plugins of other people; off by default, since they run as us."""

    enabled: bool = False
    prefer: Side = "native"
    overrides: dict[Text, Side] = {}
    allow: tuple[Text, ...] = ()
    deny: tuple[Text, ...] = ()
    load: PluginsLoadConfig = PluginsLoadConfig()
    entries: dict[Text, PluginEntry] = {}
    slots: dict[Text, Text] = {}
    native: NativePluginsConfig = NativePluginsConfig()


class SkillEntry(Section, frozen=True):
    """The settings of one skill."""

    enabled: bool = True
    api_key: SecretRef | None = None
    env: dict[Text, Annotated[str, Meta(extra={"rule": "private"})]] = {}
    config: FreeForm = {}


class SkillsLoadConfig(Section, frozen=True):
    """Where skills are looked for."""

    extra_dirs: tuple[Text, ...] = ()
    watch: bool = True
    watch_debounce_ms: Positive = 250


class SkillsConfig(Section, frozen=True):
    """Skills."""

    enabled: bool = True
    load: SkillsLoadConfig = SkillsLoadConfig()
    entries: dict[Text, SkillEntry] = {}
    allow_bundled: tuple[Text, ...] = ()
