"""What the environment says, and how: variables with a name of their own, and one for any key."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_actors.config import collect_secrets
from tests.unit.config.world import Load, problems_of


def at(root: Any, key: str) -> Any:
    for part in key.split("."):
        root = root[part] if isinstance(root, dict) else getattr(root, part)
    return root


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("OPENCLAW_MODEL", "m", "llm.model", "m"),
        ("OPENCLAW_ENDPOINT", "http://h/v1", "llm.endpoint", "http://h/v1"),
        ("OPENCLAW_WORKSPACE", "~/w", "workspace", "/home/me/w"),
        ("OPENCLAW_PROJECT", "p", "memory.project_id", "p"),
        ("OPENCLAW_STATE_DIR", "/s", "state_dir", "/s"),
        ("OPENCLAW_AUTH_TOKEN", "t", "auth_token", "env:OPENCLAW_AUTH_TOKEN"),
        ("OPENCLAW_API_KEY", "k", "llm.api_key", "env:OPENCLAW_API_KEY"),
        ("OPENAI_API_KEY", "k", "llm.api_key", "env:OPENAI_API_KEY"),
        ("MODEL_PROVIDER_KEY", "k", "llm.api_key", "env:MODEL_PROVIDER_KEY"),
        ("TWILIO_AUTH_TOKEN", "t", "channels.sms.twilio.auth_token_ref", "env:TWILIO_AUTH_TOKEN"),
        ("OPENCLAW__PORT", "0", "port", 0),
        ("OPENCLAW__LLM__TEMPERATURE", "1", "llm.temperature", 1.0),
        ("OPENCLAW__MEMORY__FSYNC", "false", "memory.fsync", False),
        ("OPENCLAW__LOGGING__LEVEL", "INFO", "logging.level", "info"),
        ("OPENCLAW__LLM__MODEL", "0123", "llm.model", "0123"),
        ("OPENCLAW__LLM__MODEL", "yes", "llm.model", "yes"),
        ("OPENCLAW__LLM__ENDPOINT", "null", "llm.endpoint", None),
        ("OPENCLAW__SECURITY__KNOWN_PROXIES", "10.0.0.1, 10.1.0.0/16", "security.known_proxies", 2),
        (
            "OPENCLAW__CHANNELS__SMS__TWILIO__ALLOWED_FROM_NUMBERS",
            "[+15551234567]",
            "channels.sms.twilio.allowed_from_numbers",
            ("+15551234567",),
        ),
        ("OPENCLAW__TOOLING__APPROVAL_REQUIRED_TOOLS", "[]", "tooling.approval_required_tools", ()),
        ("OPENCLAW__AUTH__TOKENS__Alice", "raw:t", "auth.tokens.Alice", "raw:t"),
        ("OPENCLAW__AUTH__TOKENS", "{a.b: raw:t}", "auth.tokens", {"a.b": "raw:t"}),
        ("OPENCLAW__HTTP", "{port: 5}", "http.port", 5),
        ("OPENCLAW__PLUGINS__ENTRIES__x__CONFIG", "{a: [1]}", "plugins.entries.x.config", {"a": [1]}),
    ],
)
def test_a_variable_sets_its_key(load: Load, variable: str, text: str, key: str, value: object) -> None:
    loaded = load(None, **{variable: text})
    found = at(loaded.config, key)
    assert (len(found) if key == "security.known_proxies" else found) == value
    assert f"environment {variable}" in set(loaded.sources.values())


def test_the_variable_of_our_own_name_wins_over_the_others_and_the_full_one_over_it(load: Load) -> None:
    keys = {"MODEL_PROVIDER_KEY": "1", "OPENAI_API_KEY": "2"}
    assert load(None, **keys).config.llm.api_key == "env:OPENAI_API_KEY"
    keys["OPENCLAW_API_KEY"] = "3"
    assert load(None, **keys).config.llm.api_key == "env:OPENCLAW_API_KEY"
    keys["OPENCLAW__LLM__API_KEY"] = "raw:4"
    assert load(None, **keys).config.llm.api_key == "raw:4"


def test_a_blank_variable_counts_as_not_set(load: Load) -> None:
    blank = {"OPENCLAW_MODEL": " ", "OPENCLAW__PORT": "", "OPENCLAW_AUTH_TOKEN": ""}
    assert set(load(None, **blank).sources.values()) == {"default", "derived"}


def test_a_reference_in_a_secrets_own_variable_is_one(load: Load, tmp_path: Any) -> None:
    """Taken at its word it would be a token that anybody can guess."""
    (tmp_path / "token").write_text("hunter2\n")
    environ = {"OPENCLAW_AUTH_TOKEN": "file:token"}
    config = load(None, **environ).config
    assert collect_secrets(config, environ) == {"auth_token": "hunter2"}


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("OPENCLAW__PORT", "abc", 'port must be a whole number from 0 to 65535 (got "abc")'),
        ("OPENCLAW__PORT", "[", "port must be a whole number from 0 to 65535"),
        ("OPENCLAW__PORT", "\udcff", "port must be a whole number"),
        ("OPENCLAW_MODEL", "\udcff", "llm.model must be a text that is not empty"),
        ("OPENCLAW__AUTH_TOKEN", "hunter2", "auth_token must be a reference"),
        ("OPENCLAW__AUTH__TOKENS", "hunter2", "auth.tokens must be a mapping"),
        (
            "OPENCLAW__SESSIONS__MAX_LIFE",
            "1",
            "sessions.max_life is not a key; the nearest is sessions.max_live",
        ),
        ("OPENCLAW__PORT__X", "1", "port.x is not a key; the nearest is "),
        ("OPENCLAW__", "1", "(nothing) is not a key; the nearest is "),
        (
            "OPENCLAW__SESSION_TIMEOUT_MINUTES",
            "1",
            "session_timeout_minutes was replaced by sessions.idle_seconds",
        ),
        (
            "OPENCLAW__SECURITY__KNOWN_PROXIES",
            "[[a]]",
            "security.known_proxies[0] must be an IP address or network",
        ),
    ],
)
def test_what_cannot_be_used_is_said_with_its_variable(
    load: Load, variable: str, text: str, said: str
) -> None:
    (problem,) = problems_of(load, "", **{variable: text})
    assert problem.startswith(said)
    assert problem.endswith(f"[environment {variable}]")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("OPENCLAW_MODLE", "OPENCLAW_MODEL"),
        ("OPENCLAW_API_KEYS", "OPENCLAW_API_KEY"),
        ("OpenClaw__Port", "OPENCLAW__PORT"),
        ("openclaw_model", "OPENCLAW_MODEL"),
    ],
)
def test_a_slip_in_a_variables_name_is_warned_of(load: Load, variable: str, meant: str) -> None:
    (warning,) = load(None, **{variable: "1"}).warnings
    assert warning == f"the environment variable {variable} is not used; did you mean {meant}?"


def test_strangers_variables_are_nobodys_business(load: Load) -> None:
    assert load(None, OPENCLAW_TEST_GATEWAY_MARKER="1", OPENAI_BASE_URL="x", PATH="/bin").warnings == ()
