"""Where a configuration comes from, which source wins, and what follows from what."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_actors import config
from openclaw_actors.config import GatewayConfig
from openclaw_actors.errors import ConfigError
from tests.unit.config.world import Load, problems_of


def test_without_any_source_everything_is_at_its_default(load: Load) -> None:
    loaded = load(None)
    assert loaded.path is None
    assert loaded.warnings == ()
    assert set(loaded.sources.values()) == {"default", "derived"}
    assert loaded.config.port == GatewayConfig().port == 18789
    assert loaded.config.state_dir == "/home/me/.openclaw-actors"
    assert loaded.config.memory.storage_path == "/home/me/.openclaw-actors/memory"


def test_each_source_wins_over_the_one_before(load: Load) -> None:
    key = "sessions.max_live"
    text, variable = "sessions: {max_live: 2, max_pending: 3}", {"OPENCLAW__SESSIONS__MAX_LIVE": "4"}
    seen = [
        (loaded.config.sessions.max_live, loaded.sources[key])
        for loaded in (
            load(None),
            load(text),
            load(text, **variable),
            load(text, over={key: 5}, **variable),
        )
    ]
    assert seen == [
        (256, "default"),
        (2, "g.yaml:1"),
        (4, "environment OPENCLAW__SESSIONS__MAX_LIVE"),
        (5, "command line"),
    ]
    assert load(text, over={key: 5}, **variable).config.sessions.max_pending == 3


def test_a_list_replaces_the_list_below_it(load: Load) -> None:
    text = "tooling: {approval_required_tools: [git], allowed_read_roots: [/a, /b]}"
    tooling = load(text, OPENCLAW__TOOLING__ALLOWED_READ_ROOTS="/c").config.tooling
    assert tooling.approval_required_tools == ("git",)
    assert tooling.allowed_read_roots == ("/c",)


def test_a_mapping_is_merged_with_the_one_below_it(load: Load) -> None:
    tokens = load("auth: {tokens: {a: raw:one}}", OPENCLAW__AUTH__TOKENS__b="raw:two").config.auth.tokens
    assert tokens == {"a": "raw:one", "b": "raw:two"}


# Which file


def test_the_file_of_the_command_line_then_the_environment_then_the_default(load: Load) -> None:
    Path("conf").mkdir()
    for name, port in (("conf/gateway.yaml", 1), ("named.yaml", 2), ("g.yaml", 3)):
        Path(name).write_text(f"port: {port}")
    named = {"OPENCLAW_CONFIG_PATH": "named.yaml"}
    assert load("port: 3", **named).config.port == 3
    assert load(None, **named).config.port == 2
    assert load(None).config.port == 1
    assert load(None).path == Path("conf/gateway.yaml")


def test_a_path_in_the_environment_may_begin_at_home(load: Load, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("port: 7")
    assert load(None, HOME=str(tmp_path), OPENCLAW_CONFIG_PATH="~/mine.yaml").config.port == 7


@pytest.mark.parametrize(
    ("path", "reason"),
    [("none.yaml", "No such file"), (".", "Is a directory"), ("file/g.yaml", "Not a directory")],
)
def test_a_file_that_is_named_must_be_readable(load: Load, path: str, reason: str) -> None:
    Path("file").write_text("")
    (problem,) = problems_of(load, None, OPENCLAW_CONFIG_PATH=path)
    assert "the configuration file cannot be read" in problem
    assert reason in problem


def test_a_default_file_that_leads_nowhere_is_not_passed_over(load: Load) -> None:
    Path("conf").mkdir()
    Path("conf/gateway.yaml").symlink_to("gone.yaml")
    (problem,) = problems_of(load, None)
    assert "conf/gateway.yaml" in problem


# What follows from what


@pytest.mark.parametrize(
    ("environ", "provider"),
    [
        ({}, "demo"),
        ({"OPENAI_API_KEY": "sk-1"}, "openai"),
        ({"OPENCLAW_ENDPOINT": "http://127.0.0.1:1/v1"}, "openai-compatible"),
        ({"OPENAI_API_KEY": "sk-1", "OPENCLAW_ENDPOINT": "http://127.0.0.1:1/v1"}, "openai"),
        ({"OPENAI_API_KEY": "sk-1", "OPENCLAW__LLM__PROVIDER": "DEMO"}, "demo"),
        ({"OPENAI_API_KEY": "  "}, "demo"),
    ],
)
def test_the_provider_follows_from_key_and_endpoint(
    load: Load, environ: dict[str, str], provider: str
) -> None:
    assert load(None, **environ).config.llm.provider == provider


def test_paths_follow_from_the_state_directory_unless_they_are_set(load: Load) -> None:
    loaded = load("state_dir: ~/s")
    assert loaded.config.memory.storage_path == "/home/me/s/memory"
    assert loaded.config.workspace == "/home/me/s/workspace"
    assert loaded.config.tooling.allowed_write_roots == ("/home/me/s/workspace",)
    assert loaded.sources["memory.storage_path"] == "derived"
    set_ = load("state_dir: ~/s\nmemory: {storage_path: ~/m}\nworkspace: /w").config
    assert (set_.memory.storage_path, set_.workspace) == ("/home/me/m", "/w")
    assert set_.tooling.allowed_read_roots == ("/w",)


def test_relative_paths_become_absolute(load: Load, tmp_path: Path) -> None:
    assert load("state_dir: here").config.state_dir == str(tmp_path / "here")


# Warnings


def test_what_has_no_effect_yet_is_accepted_and_named(load: Load) -> None:
    text = "plugins:\n  native: {calendar: {max_events: 5}}\n  entries:\n    my.plugin: {enabled: true}\n"
    warnings = load(text, OPENCLAW_WORKSPACE="/w").warnings
    assert [warning.split(" has ")[0] for warning in warnings] == [
        "plugins.entries",
        "plugins.native.calendar",
    ]
    assert "plugins.entries.my.plugin.enabled [g.yaml:4]" in warnings[0]
    assert "plugins.native.calendar.max_events [g.yaml:2]" in warnings[1]


def test_what_is_set_to_its_default_is_not_warned_of(load: Load) -> None:
    assert load("tooling: {allow_shell: false}\nskills: {enabled: true}\ndelegation:\n").warnings == ()


def test_a_secret_of_the_file_that_the_environment_covers_is_named(load: Load) -> None:
    (warning,) = load("llm: {api_key: raw:a}", OPENAI_API_KEY="b").warnings
    assert warning == "llm.api_key of g.yaml:1 is not used: environment OPENAI_API_KEY is set"


# The way to the actors


def test_a_configuration_travels_whole(load: Load) -> None:
    loaded = load("plugins: {entries: {p: {config: {n: 9223372036854775807, f: 0.5, l: [null, {}]}}}}").config
    assert config.decode(config.encode(loaded)) == loaded


def test_nothing_is_told_of_a_configuration_that_is_refused_but_its_problems(load: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        load("port: x\nnothing: 1\nauth_token: hunter2\nhttp: {port: 18789}\n")
    assert len(refused.value.problems) == 3
    assert "hunter2" not in str(refused.value)
