"""What each key takes, which values do not go together, and what a public bind must not be combined with."""

from __future__ import annotations

import pytest

from openclaw_actors.config import is_loopback
from tests.unit.config.world import Load, problems_of

LONG = "x" * 500


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("port", "65536", "a whole number from 0 to 65535 (got 65536)"),
        ("port", "-1", "a whole number from 0 to 65535 (got -1)"),
        ("port", "1.5", "a whole number from 0 to 65535 (got 1.5)"),
        ("port", "true", "a whole number from 0 to 65535 (got true)"),
        ("port", '"1"', 'a whole number from 0 to 65535 (got "1"); write it without quotes'),
        ("port", "null", "a whole number from 0 to 65535 (got null)"),
        ("port", "[1]", "a whole number from 0 to 65535 (got [1])"),
        ("graceful_shutdown_seconds", "-0.1", "a number from 0 to 31536000 (got -0.1)"),
        ("sessions.idle_seconds", "0", "a number above 0 and at most 31536000 (got 0)"),
        ("sessions.idle_seconds", ".nan", "a number above 0 and at most 31536000 (got NaN)"),
        ("sessions.idle_seconds", ".inf", "a number above 0 and at most 31536000 (got Infinity)"),
        ("sessions.max_live", "0", "a whole number of at least 1 (got 0)"),
        (
            "sessions.max_live",
            "10000000000000",
            "a whole number of at least 1 (got 10000000000000); the most is",
        ),
        ("sessions.token_budget", "-1", "a whole number of at least 0 (got -1)"),
        ("websocket.max_message_bytes", "255", "a whole number of at least 256 (got 255)"),
        ("websocket.messages_per_minute_per_connection", "0", "a whole number of at least 1"),
        ("memory.max_history_turns", "0", "a whole number of at least 1"),
        ("memory.max_cached_sessions", "0", "a whole number of at least 1"),
        ("memory.storage_path", '" "', 'a text that is not empty (got " ")'),
        ("memory.fsync", "1", "true or false (got 1)"),
        ("llm.model", '""', 'a text that is not empty (got "")'),
        ("llm.model", "5", "a text that is not empty (got 5); put it in quotes"),
        ("llm.model", "2026-01-01", 'a text that is not empty (got "2026-01-01"); put it in quotes'),
        ("llm.model", f"[{LONG}]", "a text that is not empty (got ["),
        ("llm.max_tokens", "0", "a whole number of at least 1"),
        ("llm.temperature", "2.1", "a number from 0 to 2 (got 2.1)"),
        ("llm.timeout_seconds", "-1", "a number from 0"),
        ("llm.retry_count", "-1", "a whole number from 0 to 100"),
        ("llm.circuit_breaker_threshold", "0", "a whole number of at least 1"),
        ("llm.circuit_breaker_cooldown_seconds", "0.5", "a number from 1 to 86400"),
        ("llm.provider", "google", "one of anthropic, azure-openai, demo, ollama, openai, openai-compatible"),
        ("llm.endpoint", "localhost:11434", "an http:// or https:// URL"),
        ("llm.endpoint", "https://a..b/v1", "an http:// or https:// URL"),
        ("llm.endpoint", "https://-a.example", "an http:// or https:// URL"),
        ("llm.endpoint", "https://1.2.3", "an http:// or https:// URL"),
        ("llm.endpoint", '"https://*.example/"', "an http:// or https:// URL"),
        ("llm.endpoint", f"https://{'a' * 64}.example", "an http:// or https:// URL"),
        ("llm.endpoint", "https://ü..b", "an http:// or https:// URL"),
        (
            "llm.endpoint",
            "http://u:hunter2@h/",
            "an http:// or https:// URL (got ***); it must not hold a user name",
        ),
        ("logging.level", "loud", "one of debug, error, info, warning"),
        ("tooling.approval", "sometimes", "one of always, dangerous, never"),
        ("tooling.tool_timeout_seconds", "-1", "a number from 0"),
        ("tooling.allowed_read_roots", "/a", "a list; each entry a text that is not empty"),
        ("bind_address", '"*"', 'an IP address or a host name (got "*"); write 0.0.0.0 or ::'),
        ("bind_address", "127.1", "an IP address or a host name"),
        ("http", "5", "a mapping"),
        ("http", "[]", "a mapping"),
        ("auth.tokens", '{"a b": "raw:x"}', "named by 1 to 64 of the characters"),
        ("security.allowed_origins", "[https://a.example/x]", "an origin such as"),
        ("security.allowed_origins", '["*"]', "an origin such as"),
        ("security.known_proxies", "[proxy]", "an IP address or network"),
        ("channels.sms.twilio.webhook_path", "sms", "a path that begins with /"),
        ("channels.sms.twilio.webhook_path", "'/sms/{x}'", "a path that begins with /"),
        ("delegation.profiles", "{a: {max_iterations: 0}}", "a whole number of at least 1"),
    ],
)
def test_a_value_that_cannot_be_is_said_with_key_value_and_what_is_allowed(
    load: Load, key: str, value: str, allowed: str
) -> None:
    text = "{" + ": {".join(key.split(".")) + f": {value}" + "}" * len(key.split("."))
    (problem,) = problems_of(load, text)
    assert problem.startswith(key)
    assert f"must be {allowed}" in problem
    assert problem.endswith("[g.yaml:1]")
    assert "hunter2" not in problem
    assert len(problem) < 300


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_concurrent_sessions", "sessions.max_live"),
        ("session_timeout_minutes", "sessions.idle_seconds"),
        ("session_token_budget", "sessions.token_budget"),
        ("session_rate_limit_per_minute", "sessions.rate_limit_per_minute"),
        ("SessionTimeoutMinutes", "sessions.idle_seconds"),
    ],
)
def test_a_replaced_key_names_the_new_one(load: Load, old: str, new: str) -> None:
    assert problems_of(load, f"\n{old}: 1") == [f"{old} was replaced by {new} [g.yaml:2]"]


@pytest.mark.parametrize(
    ("unknown", "known"),
    [
        ("prot", "port"),
        ("BindAddress", "bind_address"),
        ("session", "sessions"),
        ("sessions: {max_life", "sessions.max_live"),
        ("websocket: {max_mesage_bytes", "websocket.max_message_bytes"),
        ("llm: {auth_token", "auth_token"),
        ("temperature", "llm.temperature"),
        ("plugins: {native: {web_serch", "plugins.native.web_search"),
    ],
)
def test_an_unknown_key_names_the_nearest(load: Load, unknown: str, known: str) -> None:
    (problem,) = problems_of(load, unknown + ": 1" + "}" * unknown.count("{"))
    assert problem.endswith(f"is not a key; the nearest is {known} [g.yaml:1]")


def test_everything_is_said_at_once_from_every_source(load: Load) -> None:
    with_all = problems_of(
        load,
        "port: x\nport: 1\nprot: 1\nllm: {model: '', api_key: hunter2}\nauth: {tokens: {a: env:GONE}}\n",
        OPENCLAW__HTTP__PORT="y",
        OPENCLAW__MEMORY__FSYNC="maybe",
    )
    assert len(with_all) == 8
    assert "hunter2" not in "".join(with_all)


# Together


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("port: 18790", "http.port"),
        ("llm: {provider: openai}", "llm.api_key"),
        ("llm: {provider: azure-openai, endpoint: http://h}", "llm.api_key"),
        ("llm: {provider: openai-compatible}", "llm.endpoint"),
        ("supervision: {backoff_seconds: 31}", "supervision.backoff_seconds"),
        ("llm: {retry_backoff_seconds: 31}", "llm.retry_backoff_seconds"),
        ("llm: {circuit_breaker_cooldown_seconds: 301}", "llm.circuit_breaker_cooldown_seconds"),
        ("actors: {frame_max_bytes: 20000000}", "memory.max_record_bytes"),
        (
            "memory: {enable_compaction: true, compaction_threshold: 3, compaction_keep_recent: 2}",
            "memory.compaction_threshold",
        ),
        (
            "memory: {enable_compaction: true, max_history_turns: 40}",
            "memory.compaction_threshold",
        ),
        ("memory: {enable_compaction: true, compaction_keep_recent: 1}", "memory.compaction_keep_recent"),
        ("memory: {enable_compaction: true, compaction_keep_recent: 40}", "memory.compaction_keep_recent"),
        ("delegation: {enabled: true}", "delegation.profiles"),
        ("delegation: {enabled: true, max_depth: 0, profiles: {a: {name: x}}}", "delegation.max_depth"),
        ("delegation: {enabled: true, profiles: {a: {}}}", "delegation.profiles.a.name"),
        (
            "channels: {sms: {twilio: {enabled: true, auth_token_ref: raw:x}}}",
            "channels.sms.twilio.webhook_public_base_url",
        ),
        (
            "channels: {sms: {twilio: {enabled: true, validate_signature: false}}}",
            "channels.sms.twilio.auth_token_ref",
        ),
        (
            "channels: {sms: {twilio: {enabled: true, auth_token_ref: raw:x,"
            " webhook_public_base_url: 'https://h/a?b'}}}",
            "channels.sms.twilio.webhook_public_base_url",
        ),
        (
            "channels: {sms: {twilio: {enabled: true, auth_token_ref: raw:x,"
            " webhook_public_base_url: 'https://h', webhook_path: /health/sms}}}",
            "channels.sms.twilio.webhook_path",
        ),
        (
            "plugins: {native: {database: {enabled: true, provider: mysql, connection_string: raw:x}}}",
            "plugins.native.database.provider",
        ),
        ("plugins: {native: {database: {enabled: true}}}", "plugins.native.database.connection_string"),
        ("plugins: {native: {web_search: {enabled: true}}}", "plugins.native.web_search.api_key"),
        (
            "plugins: {native: {web_search: {enabled: true, provider: searxng}}}",
            "plugins.native.web_search.endpoint",
        ),
        ("auth_token: raw:x\nauth: {tokens: {default: raw:y}}", "auth.tokens.default"),
        ("auth: {tokens: {a: raw:same, b: raw:same}}", "auth.tokens.b"),
    ],
)
def test_values_that_do_not_go_together_are_refused(load: Load, text: str, key: str) -> None:
    (problem,) = problems_of(load, text)
    assert problem.startswith(f"{key} must be ")


@pytest.mark.parametrize(
    "text",
    [
        "memory: {compaction_threshold: 0, compaction_keep_recent: 0}",
        "delegation: {max_depth: 0}",
        "port: 0\nhttp: {port: 0}",
        "graceful_shutdown_seconds: 0",
        "llm: {timeout_seconds: 0, retry_count: 0, temperature: 2}",
    ],
)
def test_what_a_rule_does_not_cover_is_taken(load: Load, text: str) -> None:
    assert load(text)


SMS = {
    "OPENCLAW__CHANNELS__SMS__TWILIO__ENABLED": "true",
    "OPENCLAW__CHANNELS__SMS__TWILIO__WEBHOOK_PUBLIC_BASE_URL": "https://h.example/",
    "TWILIO_AUTH_TOKEN": "t",
}


def test_sms_that_cannot_work_is_warned_of(load: Load) -> None:
    warned = [warning.split(":")[0] for warning in load("", **SMS).warnings]
    at = "channels.sms.twilio"
    assert warned == [
        f"{at}.account_sid is not set",
        f"{at}.messaging_service_sid and {at}.from_number are not set",
        f"{at}.allowed_from_numbers is empty",
        f"{at}.allowed_to_numbers is empty",
    ]
    numbers = "allowed_from_numbers: ['+1'], allowed_to_numbers: ['+2'], from_number: '+2', account_sid: AC1"
    text = f"channels: {{sms: {{twilio: {{{numbers}}}}}}}"
    assert load(text, **SMS).warnings == ()
    (unsigned,) = load(text, **SMS, OPENCLAW__CHANNELS__SMS__TWILIO__VALIDATE_SIGNATURE="false").warnings
    assert "can write in its name" in unsigned


@pytest.mark.parametrize("ref", ["env:NOT_SET", "file:/does/not/exist"])
def test_sms_needs_a_token_that_resolves(load: Load, ref: str) -> None:
    (problem,) = problems_of(
        load, f"channels: {{sms: {{twilio: {{auth_token_ref: '{ref}'}}}}}}", **SMS | {"TWILIO_AUTH_TOKEN": ""}
    )
    assert problem.startswith("channels.sms.twilio.auth_token_ref must be a reference that resolves")


def test_a_bad_value_is_not_blamed_for_what_its_default_would_break(load: Load) -> None:
    (problem,) = problems_of(load, "port: x\nhttp: {port: 18789}\n")
    assert problem.startswith("port must be")


# The public bind


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback_needs_no_hardening(load: Load, address: str) -> None:
    assert is_loopback(address)
    text = "tooling: {allow_shell: true, allowed_read_roots: ['*']}\nplugins: {enabled: true}"
    assert load(text, OPENCLAW__BIND_ADDRESS=address)


PUBLIC = [
    "0.0.0.0",
    "::",
    "192.168.1.5",
    "gateway.example",
    "localhost.example",
    "128.0.0.1",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_every_other_address_requires_a_token(load: Load, address: str) -> None:
    text = f"bind_address: '{address}'"
    (problem,) = problems_of(load, text)
    assert problem.startswith("auth_token must be set when binding to a non-loopback address")
    assert "OPENCLAW_AUTH_TOKEN must be set" in problem
    assert load(text, OPENCLAW_AUTH_TOKEN="t")
    assert load(text, OPENCLAW__AUTH__TOKENS__a="env:T", T="t")


@pytest.mark.parametrize(
    ("text", "key", "switch"),
    [
        ("tooling: {allow_shell: true}", "tooling.allow_shell", "unsafe_tooling"),
        ("tooling: {allowed_read_roots: [/a, '*']}", "tooling.allowed_read_roots", "unsafe_tooling"),
        ("tooling: {allowed_write_roots: ['*']}", "tooling.allowed_write_roots", "unsafe_tooling"),
        ("tooling: {allowed_write_roots: [/a/..]}", "tooling.allowed_write_roots", "unsafe_tooling"),
        (
            "plugins: {native: {code_exec: {enabled: true}}}",
            "plugins.native.code_exec.enabled",
            "unsafe_tooling",
        ),
        (
            "plugins: {native: {web_fetch: {enabled: true, allowed_private_hosts: [wiki.house]}}}",
            "plugins.native.web_fetch.allowed_private_hosts",
            "unsafe_tooling",
        ),
        ("plugins: {enabled: true}", "plugins.enabled", "plugin_bridge"),
        (
            "channels: {sms: {twilio: {auth_token_ref: 'raw:x'}}}",
            "channels.sms.twilio.auth_token_ref",
            "raw_secret_refs",
        ),
        ("auth: {tokens: {a: 'RAW:x'}}", "auth.tokens.a", "raw_secret_refs"),
    ],
)
def test_a_public_bind_refuses_what_is_unsafe_until_somebody_says_yes(
    load: Load, text: str, key: str, switch: str
) -> None:
    environ = {"OPENCLAW__BIND_ADDRESS": "0.0.0.0", "OPENCLAW_AUTH_TOKEN": "t"}
    (problem,) = problems_of(load, text, **environ)
    assert problem.startswith(f"{key} must be ")
    assert f"security.allow_{switch}_on_public_bind" in problem
    environ[f"OPENCLAW__SECURITY__ALLOW_{switch.upper()}_ON_PUBLIC_BIND"] = "true"
    assert load(text, **environ)


def test_a_public_bind_says_all_of_it_at_once(load: Load) -> None:
    text = (
        "bind_address: 0.0.0.0\ntooling: {allow_shell: true}\nplugins: {enabled: true}\nllm: {api_key: raw:x}"
    )
    assert [problem.split()[0] for problem in problems_of(load, text)] == [
        "auth_token", "tooling.allow_shell", "plugins.enabled", "llm.api_key",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1",
        "https://bücher.example/v1",
        "https://my_host.internal",
        "http://[::1]:8000/v1",
        "http://10.0.0.7",
        "https://api.example.",
    ],
)
def test_addresses_that_can_be_called(load: Load, url: str) -> None:
    assert load(f"llm: {{endpoint: '{url}'}}").config.llm.endpoint == url
