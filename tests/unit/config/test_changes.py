"""What differs between two configurations, and what has to be done for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.changes import changes, pinned, tasks_of
from openclaw_actors.config.effects import EFFECTS, concerns_of, effect_of
from openclaw_actors.config.layers import key_names
from tests.unit.config.reference import leaf_keys

SERVICES = frozenset(("persistence", "model", "router", "websocket", "http"))
DEFAULT = GatewayConfig()


def with_keys(**values: Any) -> GatewayConfig:
    """The defaults but for some keys: `with_keys(sessions__max_live=3)`."""
    tree = msgspec.to_builtins(DEFAULT)
    for name, value in values.items():
        *above, last = name.split("__")
        inner = tree
        for part in above:
            inner = inner[part]
        inner[last] = value
    return msgspec.convert(tree, GatewayConfig)


def tasks(
    before: GatewayConfig,
    after: GatewayConfig,
    *,
    now: frozenset[str] = SERVICES,
    then: frozenset[str] = SERVICES,
) -> dict[str, str]:
    found = tasks_of(changes(before, after), before=now, after=then)
    return {name: task for name, (task, _) in found.items()}


def test_every_key_says_when_it_takes_effect_and_every_rule_is_of_a_key() -> None:
    for key in leaf_keys():
        assert effect_of(key), key
    assert set(EFFECTS) <= set(key_names())


def test_nothing_is_done_where_nothing_differs() -> None:
    assert changes(DEFAULT, GatewayConfig()) == ()
    assert tasks(DEFAULT, GatewayConfig()) == {}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"sessions__rate_limit_per_minute": 5}, {"router": "tell", "sessions": "tell"}),
        ({"websocket__messages_per_minute_per_connection": 5}, {"websocket": "tell"}),
        ({"http__requests_per_minute_per_client": 5}, {"http": "tell"}),
        ({"sessions__max_live": 3}, {"router": "tell"}),
        ({"port": 1}, {"websocket": "restart"}),
        ({"http__port": 1}, {"http": "restart"}),
        ({"bind_address": "::1"}, {"websocket": "restart", "http": "restart"}),
        ({"port": 1, "websocket__max_connections": 7}, {"websocket": "restart"}),
        ({"auth_token": "env:A"}, {"websocket": "tell", "http": "tell"}),
        ({"security__allowed_origins": ["https://a.example"]}, {"websocket": "tell", "http": "tell"}),
        ({"llm__max_tokens": 5}, {"model": "tell"}),
        ({"llm__model": "m"}, {"model": "tell", "persistence": "tell", "http": "tell"}),
        ({"memory__fsync": False}, {"persistence": "restart"}),
        ({"tooling__allow_shell": True}, {"router": "tell", "sessions": "tell"}),
        ({"graceful_shutdown_seconds": 1.0}, {"start": "tell", "supervisor": "tell"}),
        ({"logging__max_bytes": 5000}, {"start": "tell", "supervisor": "tell"}),
        (
            {"logging__level": "info"},
            dict.fromkeys((*sorted(SERVICES), "start", "supervisor", "sessions"), "tell"),
        ),
        ({"state_dir": "/x"}, {}),
        ({"memory__storage_path": "/x", "actors__frame_max_bytes": 1000}, {}),
    ],
    ids=str,
)
def test_only_who_is_concerned_is_told_or_restarted(keys: dict[str, Any], expected: dict[str, str]) -> None:
    assert tasks(DEFAULT, with_keys(**keys)) == expected


def test_services_come_and_go_with_their_keys() -> None:
    on = with_keys(channels__sms__twilio__enabled=True)
    with_sms = SERVICES | {"sms"}
    assert tasks(DEFAULT, on, then=with_sms) == {"sms": "start", "http": "tell"}
    assert tasks(on, DEFAULT, now=with_sms) == {"sms": "end", "http": "tell"}
    text = with_keys(channels__sms__twilio__enabled=True, channels__sms__twilio__help_text="Help!")
    assert tasks(on, text, now=with_sms, then=with_sms) == {"sms": "tell", "http": "tell"}


def test_a_server_of_mcp_is_restarted_for_its_own_keys_alone() -> None:
    one = with_keys(mcp__servers={"a": {"command": "a"}, "b": {"command": "b"}})
    other = with_keys(mcp__servers={"a": {"command": "a", "args": ["-v"]}, "c": {"command": "c"}})
    now, then = SERVICES | {"mcp:a", "mcp:b"}, SERVICES | {"mcp:a", "mcp:c"}
    assert tasks(one, other, now=now, then=then) == {
        "mcp:a": "restart",
        "mcp:b": "end",
        "mcp:c": "start",
        "router": "tell",
        "sessions": "tell",
    }
    smaller = with_keys(
        mcp__servers={"a": {"command": "a"}, "b": {"command": "b"}}, mcp__max_tools_per_server=3
    )
    assert tasks(one, smaller, now=now, then=now) == {"mcp:a": "restart", "mcp:b": "restart"}


def test_a_secret_is_never_shown_and_another_value_is_seen_all_the_same() -> None:
    before, after = with_keys(auth_token="raw:***"), with_keys(auth_token="raw:***")
    (change,) = changes(before, after, other_values=("auth_token",))
    assert (change.before, change.after) == ('"raw:***"', "(another value)")
    (change,) = changes(DEFAULT, with_keys(auth_token="raw:hunter2"))
    assert "hunter2" not in repr(change)
    before = with_keys(mcp__servers={"a": {"command": "a", "env": {"K": "hunter1"}}})
    after = with_keys(mcp__servers={"a": {"command": "a", "env": {"K": "hunter2"}}})
    (change,) = changes(before, after)
    assert (change.key, change.after) == ("mcp.servers.a.env.K", "(another value)")
    assert "hunter" not in repr(change)


def test_entries_of_mappings_are_changes_of_their_own() -> None:
    after = with_keys(auth__tokens={"alice": "env:A"})
    (change,) = changes(DEFAULT, after)
    assert (change.key, change.before, change.after) == ("auth.tokens.alice", "(not set)", '"env:A"')
    (change,) = changes(after, DEFAULT)
    assert (change.key, change.after) == ("auth.tokens.alice", "(not set)")


def test_what_only_another_start_changes_keeps_its_value() -> None:
    after = with_keys(state_dir="/y", actors__queue_max_bytes=1000, port=1)
    assert pinned(DEFAULT, after) == {
        "state_dir": DEFAULT.state_dir,
        "actors.queue_max_bytes": DEFAULT.actors.queue_max_bytes,
    }


def test_concerns_name_only_who_is_there() -> None:
    assert concerns_of("channels.sms.twilio.help_text", SERVICES) == {"http": "at_once"}
    assert concerns_of("mcp.servers.a.args", SERVICES) == {"router": "at_once", "sessions": "at_once"}
