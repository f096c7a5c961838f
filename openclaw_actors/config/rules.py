"""Decides which values do not go together, and what a public bind must not be combined with."""

from __future__ import annotations

__all__ = [
    "FILES_FOR_ITSELF",
    "FILES_PER_SESSION",
    "cross_problems",
    "files_needed",
    "is_loopback",
    "public_bind_problems",
    "public_bind_warnings",
    "secret_refs",
    "twilio_warnings",
]

import ipaddress
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import inspect

from openclaw_actors.config.checks import kind_of
from openclaw_actors.config.mcp import mcp_problems
from openclaw_actors.config.model import GatewayConfig, root_type
from openclaw_actors.config.models import further_models, settings_of
from openclaw_actors.config.problems import Problem, shown
from openclaw_actors.config.sections import LlmConfig

FILES_FOR_ITSELF = 64
FILES_PER_SESSION = 3
"""Of the router, which has the most of them: the pidfd of each session, and a connection in each direction."""
_MOST_MODELS = 64
_OUR_PATHS = ("/health", "/metrics", "/api", "/v1", "/ws")


def _rule(key: str, allowed: str, value: object = None, *, hint: str = "") -> Problem:
    return Problem(
        kind="rule", key=key, allowed=allowed, value=None if value is None else shown(value), hint=hint
    )


def cross_problems(config: GatewayConfig) -> Iterator[Problem]:
    """Find values that are good each but not together."""
    for check in _CHECKS:
        yield from check(config)


def _ports(config: GatewayConfig) -> Iterator[Problem]:
    if config.port == config.http.port != 0:
        yield _rule("http.port", "another port than port", config.http.port)


def _provider(config: GatewayConfig) -> Iterator[Problem]:
    llm = config.llm
    key_hint = "set ANTHROPIC_API_KEY" if llm.provider == "anthropic" else "set OPENAI_API_KEY"
    yield from _reachable("llm", llm, key_hint=key_hint, endpoint_hint="set OPENCLAW_ENDPOINT")
    if llm.provider == "demo":
        return  # whatever else stands there is not called
    for at, model in further_models(llm):
        if not model.model.strip():
            yield _rule(f"{at}.model", "a text that is not empty", model.model)
        hint = "those of llm are only for its own provider and endpoint"
        yield from _reachable(at, settings_of(llm, model), key_hint=hint, endpoint_hint=hint)
    if llm.model in llm.models:
        yield _rule(f"llm.models.{llm.model}", "named otherwise: that is llm.model")
    for key, number in (("fallbacks", len(llm.fallbacks)), ("models", len(llm.models))):
        if number > _MOST_MODELS:
            yield _rule(f"llm.{key}", f"at most {_MOST_MODELS} entries", number)


def _reachable(at: str, llm: LlmConfig, *, key_hint: str, endpoint_hint: str) -> Iterator[Problem]:
    """What a provider lacks that nobody can do without."""
    keyed = (
        ("openai", "azure-openai") if llm.endpoint is not None else ("openai", "azure-openai", "anthropic")
    )
    if llm.provider in keyed and llm.api_key is None:
        yield _rule(f"{at}.api_key", f"set for the provider {llm.provider}", hint=key_hint)
    if llm.provider in ("azure-openai", "openai-compatible") and llm.endpoint is None:
        yield _rule(f"{at}.endpoint", f"set for the provider {llm.provider}", hint=endpoint_hint)


def _orders(config: GatewayConfig) -> Iterator[Problem]:
    """Pairs of which the first must not be above the second."""
    llm, supervision, frame = config.llm, config.supervision, config.actors.frame_max_bytes
    pairs: tuple[tuple[str, float, str, float], ...] = (
        (
            "supervision.backoff_seconds",
            supervision.backoff_seconds,
            "supervision.backoff_max_seconds",
            supervision.backoff_max_seconds,
        ),
        (
            "llm.retry_backoff_seconds",
            llm.retry_backoff_seconds,
            "llm.retry_backoff_max_seconds",
            llm.retry_backoff_max_seconds,
        ),
        (
            "llm.circuit_breaker_cooldown_seconds",
            llm.circuit_breaker_cooldown_seconds,
            "llm.circuit_breaker_cooldown_max_seconds",
            llm.circuit_breaker_cooldown_max_seconds,
        ),
        (
            "channels.sms.twilio.retry_backoff_seconds",
            config.channels.sms.twilio.retry_backoff_seconds,
            "channels.sms.twilio.retry_backoff_max_seconds",
            config.channels.sms.twilio.retry_backoff_max_seconds,
        ),
        (
            "context.max_file_bytes",
            config.context.max_file_bytes,
            "context.max_total_bytes",
            config.context.max_total_bytes,
        ),
        ("websocket.max_message_bytes", config.websocket.max_message_bytes, "actors.frame_max_bytes", frame),
        ("http.max_body_bytes", config.http.max_body_bytes, "actors.frame_max_bytes", frame),
        ("memory.max_record_bytes", config.memory.max_record_bytes, "actors.frame_max_bytes", frame),
        ("llm.max_response_bytes", llm.max_response_bytes, "actors.frame_max_bytes", frame),
    )
    for key, value, limit_key, limit in pairs:
        if value > limit:
            yield _rule(key, f"at most {limit_key}, {limit:g}", value)


def _retention(config: GatewayConfig) -> Iterator[Problem]:
    retention = config.retention
    limits = (
        retention.max_age_days,
        retention.max_total_mb,
        retention.archive_max_age_days,
        retention.archive_max_total_mb,
    )
    if retention.enabled and not any(limits):
        yield _rule("retention.enabled", "true only with a limit", hint="set retention.max_age_days")


def _compaction(config: GatewayConfig) -> Iterator[Problem]:
    memory = config.memory
    if not memory.enable_compaction:
        return
    if memory.compaction_threshold < 4:
        yield _rule("memory.compaction_threshold", "at least 4", memory.compaction_threshold)
    elif memory.compaction_threshold >= memory.max_history_turns:
        within = f"below memory.max_history_turns, {memory.max_history_turns}: older turns are gone before"
        yield _rule("memory.compaction_threshold", within, memory.compaction_threshold)
    if memory.compaction_keep_recent < 2:
        yield _rule("memory.compaction_keep_recent", "at least 2", memory.compaction_keep_recent)
    elif memory.compaction_keep_recent >= memory.compaction_threshold:
        below = f"below memory.compaction_threshold, {memory.compaction_threshold}"
        yield _rule("memory.compaction_keep_recent", below, memory.compaction_keep_recent)


def _delegation(config: GatewayConfig) -> Iterator[Problem]:
    if not config.delegation.enabled:
        return
    if config.delegation.max_depth < 1:
        yield _rule("delegation.max_depth", "at least 1", config.delegation.max_depth)
    if not config.delegation.profiles:
        yield _rule("delegation.profiles", "at least one profile where delegation is on")
    for key, profile in config.delegation.profiles.items():
        if not profile.name.strip():
            yield _rule(f"delegation.profiles.{key}.name", "a text that is not empty", profile.name)


def _twilio(config: GatewayConfig) -> Iterator[Problem]:
    twilio, at = config.channels.sms.twilio, "channels.sms.twilio"
    if not twilio.enabled:
        return
    base = twilio.webhook_public_base_url
    if twilio.validate_signature and base is None:
        yield _rule(f"{at}.webhook_public_base_url", "set where signatures are validated")
    if base is not None and "?" in base:
        yield _rule(f"{at}.webhook_public_base_url", "without ? and what follows it", base)
    if twilio.webhook_path.startswith(_OUR_PATHS) or twilio.webhook_path == "/":
        taken = ", ".join(_OUR_PATHS)
        yield _rule(f"{at}.webhook_path", f"none of the HTTP channel's own ({taken})", twilio.webhook_path)
    if twilio.auth_token_ref is None:
        yield _rule(f"{at}.auth_token_ref", "set where SMS is on", hint="set TWILIO_AUTH_TOKEN")


def twilio_warnings(config: GatewayConfig) -> Iterator[str]:
    """What makes SMS useless or unsafe without being wrong, one line each."""
    twilio, at = config.channels.sms.twilio, "channels.sms.twilio"
    if not twilio.enabled:
        return
    if twilio.account_sid is None:
        yield f"{at}.account_sid is not set: no SMS can be answered"
    if twilio.messaging_service_sid is None and twilio.from_number is None:
        yield f"{at}.messaging_service_sid and {at}.from_number are not set: no SMS can be answered"
    for name in ("allowed_from_numbers", "allowed_to_numbers"):
        if not getattr(twilio, name):
            yield f"{at}.{name} is empty: every SMS is refused"
    if not twilio.validate_signature:
        yield f"{at}.validate_signature is off: who knows an allowed number can write in its name"


def _native_tools(config: GatewayConfig) -> Iterator[Problem]:
    search, database = config.plugins.native.web_search, config.plugins.native.database
    if search.enabled and search.provider == "searxng" and search.endpoint is None:
        yield _rule("plugins.native.web_search.endpoint", "set for the provider searxng")
    if search.enabled and search.provider != "searxng" and search.api_key is None:
        yield _rule("plugins.native.web_search.api_key", f"set for the provider {search.provider}")
    if database.enabled and database.provider != "sqlite":
        yield _rule(
            "plugins.native.database.provider", "sqlite; there is no driver for others yet", database.provider
        )
    elif database.enabled and database.connection_string is None:
        yield _rule("plugins.native.database.connection_string", "set where the database is on")


def _principals(config: GatewayConfig) -> Iterator[Problem]:
    if config.auth_token is not None and "default" in config.auth.tokens:
        yield _rule("auth.tokens.default", "named otherwise: `default` is who uses auth_token")


def _mcp(config: GatewayConfig) -> Iterator[Problem]:
    yield from mcp_problems(config.mcp)
    limit = config.actors.frame_max_bytes
    if config.mcp.max_message_bytes > limit:
        allowed = f"at most actors.frame_max_bytes, {limit:g}"
        yield _rule("mcp.max_message_bytes", allowed, config.mcp.max_message_bytes)


def files_needed(config: GatewayConfig) -> int:
    """How many files the process that has the most of them must be able to open."""
    return FILES_PER_SESSION * config.sessions.max_live + FILES_FOR_ITSELF


def is_loopback(address: str) -> bool:
    """Whether a bind address is reachable from this machine only; a name is not, except `localhost`."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address.lower() == "localhost"
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def public_bind_problems(config: GatewayConfig) -> list[Problem]:
    """Find what forbids to start on an address that others can reach; empty on loopback.

    Tools that can write, run code or send in our name need an explicit yes, and so do plugins and secrets that
    stand in the file itself.
    """
    if is_loopback(config.bind_address):
        return []
    return [
        *_public_auth(config),
        *_public_tooling(config),
        *_public_plugins(config),
        *_public_secrets(config),
    ]


def public_bind_warnings(config: GatewayConfig) -> Iterator[str]:
    """What is unsafe on an address that others can reach, without being wrong; one line each."""
    if is_loopback(config.bind_address) or config.tls.on or config.security.trust_forwarded_headers:
        return
    yield (
        f"bind_address is {config.bind_address}, and what is said there is not encrypted: set tls.certificate and "
        "tls.key, or security.trust_forwarded_headers where a proxy with TLS stands before it"
    )


def _public_auth(config: GatewayConfig) -> Iterator[Problem]:
    if config.auth_token is None and not config.auth.tokens:
        text = "set when binding to a non-loopback address"
        yield _rule("auth_token", text, hint="OPENCLAW_AUTH_TOKEN must be set, or bind_address 127.0.0.1")


def _public_tooling(config: GatewayConfig) -> Iterator[Problem]:
    security, tooling, native = config.security, config.tooling, config.plugins.native
    if security.allow_unsafe_tooling_on_public_bind:
        return
    hint = "or set security.allow_unsafe_tooling_on_public_bind"
    unsafe = (
        ("tooling.allow_shell", tooling.allow_shell),
        ("plugins.native.code_exec.enabled", native.code_exec.enabled),
        ("plugins.native.git_tools.allow_push", native.git_tools.enabled and native.git_tools.allow_push),
        ("plugins.native.database.allow_write", native.database.enabled and native.database.allow_write),
        ("plugins.native.email.enabled", native.email.enabled),
    )
    for key, is_on in unsafe:
        if is_on:
            yield _rule(key, "false on a public bind", value=True, hint=hint)
    if native.web_fetch.enabled and native.web_fetch.allowed_private_hosts:
        hosts = list(native.web_fetch.allowed_private_hosts)
        yield _rule(
            "plugins.native.web_fetch.allowed_private_hosts", "empty on a public bind", hosts, hint=hint
        )
    roots = (
        ("allowed_read_roots", tooling.allowed_read_roots),
        ("allowed_write_roots", tooling.allowed_write_roots),
    )
    for name, paths in roots:
        if any(path == "*" or not path.strip("/") for path in paths):
            yield _rule(f"tooling.{name}", "without `*` and / on a public bind", list(paths), hint=hint)


def _public_plugins(config: GatewayConfig) -> Iterator[Problem]:
    if config.security.allow_plugin_bridge_on_public_bind:
        return
    hint = "or set security.allow_plugin_bridge_on_public_bind"
    if config.plugins.enabled:
        yield _rule("plugins.enabled", "false on a public bind", value=True, hint=hint)
    for name, server in config.mcp.servers.items():
        if server.enabled and server.command is not None:
            yield _rule(f"mcp.servers.{name}.enabled", "false on a public bind", value=True, hint=hint)


def _public_secrets(config: GatewayConfig) -> Iterator[Problem]:
    if config.security.allow_raw_secret_refs_on_public_bind:
        return
    hint = "or set security.allow_raw_secret_refs_on_public_bind"
    for key, ref in secret_refs(config):
        if ref.lower().startswith("raw:"):
            allowed = "a reference of the form env:NAME or file:PATH on a public bind"
            yield Problem(kind="rule", key=key, allowed=allowed, value="raw:***", hint=hint)


_CHECKS: tuple[Callable[[GatewayConfig], Iterable[Problem]], ...] = (
    _ports,
    _provider,
    _orders,
    _compaction,
    _retention,
    _delegation,
    _twilio,
    _native_tools,
    _principals,
    _mcp,
    public_bind_problems,
)


def secret_refs(config: GatewayConfig) -> Iterator[tuple[str, str]]:
    """List every secret reference that is set, with its dotted key."""
    yield from _refs_in(config, root_type(), ())


def _refs_in(value: object, wrapped: inspect.Type, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    kind = kind_of(wrapped)
    if isinstance(value, str) and kind.refers(value):
        yield ".".join(path), value
    elif isinstance(kind.type, inspect.StructType) and isinstance(value, msgspec.Struct):
        for field in kind.type.fields:
            yield from _refs_in(getattr(value, field.name), field.type, (*path, field.encode_name))
    elif isinstance(kind.type, inspect.DictType) and isinstance(value, dict):
        for name, inner in value.items():
            yield from _refs_in(inner, kind.type.value_type, (*path, str(name)))
    elif isinstance(kind.type, inspect.VarTupleType) and isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from _refs_in(inner, kind.type.item_type, (*path[:-1], f"{path[-1]}[{number}]"))
