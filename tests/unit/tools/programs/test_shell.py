"""The tool `shell`: what the model is told of a command."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.registry import toolbox_of
from openclaw_actors.tools.shell import ShellArguments, ShellTool
from tests.unit.tools.programs.conftest import MakePrograms
from tests.unit.tools.programs.hosting import Host


def shell(programs: MakePrograms, command: str, *, seconds: int = 30, **tooling: object) -> str:
    tool = ShellTool(Host(programs(), tooling={"allow_shell": True, **tooling}))
    return asyncio.run(tool.run(ShellArguments(command=command, timeout_seconds=seconds)))


def test_the_answer_holds_code_output_and_errors(make_programs: MakePrograms) -> None:
    assert shell(make_programs, "echo out; echo err >&2; exit 4") == "[exit: 4]\nout\n[stderr]: err"
    assert shell(make_programs, "true") == "[exit: 0]"


def test_what_is_left_out_is_said(make_programs: MakePrograms) -> None:
    tool = ShellTool(Host(make_programs(output_bytes=1000), tooling={"allow_shell": True}))
    said = asyncio.run(tool.run(ShellArguments(command="seq 100000")))
    assert said.startswith("[exit: 0]\n1\n2\n")
    assert "\n[… 587895 bytes left out …]\n" in said
    assert said.endswith("\n100000\n[truncated]: 587895 of 588895 bytes of stdout are left out")


def test_a_command_whose_time_is_over_tells_what_it_printed(make_programs: MakePrograms) -> None:
    with pytest.raises(ToolFailed) as failed:
        shell(make_programs, "echo begun; sleep 1000", seconds=1)
    assert failed.value.status == "timeout"
    assert failed.value.text == "[exit: timeout]\nbegun\n[truncated]: it was ended after 1 s"


def test_the_operator_allows_less_time_than_the_model_wants(make_programs: MakePrograms) -> None:
    with pytest.raises(ToolFailed, match=r"it was ended after 0\.2 s"):
        shell(make_programs, "sleep 1000", seconds=600, tool_timeout_seconds=0.2)


def test_without_permission_it_is_refused_and_not_offered(make_programs: MakePrograms) -> None:
    with pytest.raises(
        ToolFailed, match=r"^.'Error: Shell execution is disabled by configuration\.'"
    ) as failed:
        shell(make_programs, "echo", allow_shell=False)
    assert failed.value.status == "denied"
    host = Host(make_programs())
    assert "shell" not in [spec.name for spec in toolbox_of(host).specs]
    assert toolbox_of(host).find("shell") is not None
    assert "shell" in [
        spec.name for spec in toolbox_of(Host(make_programs(), tooling={"allow_shell": True})).specs
    ]


def test_a_limit_that_was_broken_is_named(make_programs: MakePrograms) -> None:
    tool = ShellTool(Host(make_programs(processes=10), tooling={"allow_shell": True, "max_processes": 10}))
    said = asyncio.run(tool.run(ShellArguments(command="for i in $(seq 30); do sleep 1000 & done; wait")))
    assert said == "[exit: 137]\n[killed]: it ran more than 10 processes at once (tooling.max_processes)"
