"""Checks which exit code and which line each kind of error becomes, and that no command shows a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from openclaw_actors.cli import main as main_module
from openclaw_actors.cli.main import describe, exit_code_of, main
from openclaw_actors.errors import (
    ActorGone,
    AlreadyRunning,
    AskRefused,
    AskTimeout,
    NotRunning,
    StateDirError,
)
from openclaw_actors.store import StoreCannotOpen

COMMANDS = tuple(main_module._COMMANDS)
NEED_A_GATEWAY = (
    ("status",),
    ("status", "--json"),
    ("health",),
    ("stop",),
    ("sessions", "list"),
    ("sessions", "show", "x"),
    ("sessions", "stop", "x"),
    ("sessions", "restart", "x"),
    ("actors", "restart", "router"),
)


@pytest.fixture(autouse=True)
def _quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=str)
def test_every_command_explains_itself(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    printed = capsys.readouterr().out
    for option in ("--config", "--state-dir", "--help"):
        assert option in printed


def commands_below(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """Every command, with the words that call it."""
    context = click.Context(command, info_name=" ".join(path) or "openclaw-actors")
    yield path, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands_below(below, *path, name)


def test_help_leaves_nothing_unsaid() -> None:
    cut, unsaid = [], []
    for path, context in commands_below(main_module.cli):
        for line in context.get_help().splitlines():
            if line.endswith("...") and not line.startswith("Usage:"):
                cut.append((*path, line))
        options = (each for each in context.command.get_params(context) if isinstance(each, click.Option))
        unsaid += [(*path, each.name) for each in options if not each.help]
    assert cut == [], "a first sentence is too long for the list, where click cuts it"
    assert unsaid == []


@pytest.mark.parametrize("command", NEED_A_GATEWAY, ids=" ".join)
def test_without_a_gateway_the_exit_code_is_3(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: no gateway is running on ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("command", NEED_A_GATEWAY, ids=" ".join)
def test_the_running_gateway_is_found_from_a_shell_without_its_secrets(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"bind_address": "0.0.0.0", "auth_token": "env:NOT_HERE", "llm": {"provider": "openai"}}
    tmp_path.joinpath("gateway.yaml").write_text(json.dumps(settings))
    assert main([*command, "--config", "gateway.yaml"]) == 3
    assert capsys.readouterr().err.startswith("Error: no gateway is running on ")
    assert main(["config", "check", "--config", "gateway.yaml"]) == 2


@pytest.mark.parametrize(
    "command",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("status", "--watch", "--json"),
        ("send",),
        ("send", "x", "--timeout", "nan"),
        ("send", "a\udcffb"),
        ("sessions",),
        ("sessions", "show"),
        ("actors",),
        ("stop", "--grace", "nan"),
        ("stop", "--grace", "inf"),
        ("stop", "--grace", "-1"),
    ],
    ids=lambda command: ascii(" ".join(command)),
)
def test_wrong_usage_is_2(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("Error: ")
    assert "--help" in printed.err
    assert printed.err.count("\n") == 1


def test_a_mistyped_command_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["statsu"]) == 2
    assert "Did you mean 'status'?" in capsys.readouterr().err


def test_a_wrong_configuration_is_2_with_every_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("port: no\nsesions: {}\n")
    assert main(["config", "check", "-c", "bad.yaml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert main(["config", "check", "-c", "bad.yaml", "--json"]) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert len(problems) == 2
    port = next(each for each in problems if each["key"] == "port")
    assert (port["value"], port["where"]) == ("false", "bad.yaml:1")
    assert "from 0 to 65535" in port["allowed"]
    assert f"Error: {port['problem']}" in lines


def test_config_show_says_where_a_value_came_from_and_hides_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "g.yaml").write_text("port: 4711\nllm: {api_key: 'raw:sk-hidden'}\n")
    monkeypatch.setenv("OPENCLAW__SESSIONS__MAX_LIVE", "7")
    assert main(["config", "show", "--json", "-c", "g.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "sk-hidden" not in printed
    shown = json.loads(printed)
    assert shown["port"] == {"value": 4711, "source": "g.yaml:1"}
    assert shown["sessions.max_live"]["source"] == "environment OPENCLAW__SESSIONS__MAX_LIVE"
    assert shown["state_dir"]["source"] == "environment OPENCLAW_STATE_DIR"
    assert shown["http.port"]["source"] == "default"
    assert main(["config", "show", "-c", "g.yaml"]) == 0
    assert "sk-hidden" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotRunning("/s"), 3),
        (AlreadyRunning("/s (pid 7)"), 1),
        (StateDirError("x"), 1),
        (AskTimeout("a", 1.0), 1),
        (ActorGone("a"), 1),
        (AskRefused("unknown", "no such session"), 1),
        (StoreCannotOpen("locked", "another gateway uses the store"), 1),
        (OSError("x"), 1),
        (ZeroDivisionError("x\ny"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_one_line_and_a_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code
    [line] = describe(error)
    assert line
    assert "\n" not in line


@pytest.mark.parametrize(
    "command", [("store", "migrate"), ("store", "migrate", "--dry-run"), ("backup", "b.tar")]
)
def test_newer_store_is_refused_and_left_alone(
    command: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.nice", lambda _: 0)
    memory = tmp_path / "state" / "memory"
    memory.mkdir(parents=True)
    (memory / "format").write_text("7\n")
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(
        f"Error: the store {memory} was written by a newer version (format 7"
    )
    assert [path.name for path in memory.iterdir()] == ["format"]
    assert not (tmp_path / "b.tar").exists()


def test_store_migrate_says_what_it_would_do_and_does_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = tmp_path / "state" / "memory"
    memory.mkdir(parents=True)
    assert main(["store", "migrate", "--dry-run"]) == 0
    assert "to do: write down" in capsys.readouterr().out
    assert list(memory.iterdir()) == []
    assert main(["store", "migrate", "--json"]) == 0
    assert [step["to"] for step in json.loads(capsys.readouterr().out)["steps"]] == [1]
    assert (memory / "format").read_text() == "1\n"
    assert main(["store", "migrate"]) == 0
    assert "nothing has to be done" in capsys.readouterr().out
