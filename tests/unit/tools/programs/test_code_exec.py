"""The tool `code_exec`: code runs here or in a container, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.code_exec import CodeExecArguments, CodeExecTool, docker_command
from openclaw_actors.tools.registry import toolbox_of
from tests.unit.tools.programs.conftest import MakePrograms
from tests.unit.tools.programs.hosting import Host

_DOCKER = """#!/bin/sh
# What `docker run` does with its arguments, without a daemon: the command runs here, /code is the mounted directory.
echo "$@" > "$RECORD"
while [ "$1" != -- ]; do
  case $1 in --volume=*) code=${1#--volume=}; code=${code%%:*};; esac
  shift
done
shift 2
[ "$1" = -c ] || exit 125
script=$2; shift 3
for last; do :; done
exec sh -c "$script" sh "$1" "$code/${last#/code/}"
"""


def run(programs: Any, language: str, code: str, seconds: int | None = None, **settings: Any) -> str:
    host = Host(programs, plugins={"native": {"code_exec": {"enabled": True, **settings}}})
    tool = CodeExecTool(host)
    return asyncio.run(tool.run(CodeExecArguments(language=language, code=code, timeout_seconds=seconds)))


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"),
        ("bash", "echo out; echo err >&2; exit 3"),
        ("javascript", "console.log('out'); console.error('err'); process.exit(3)"),
    ],
)
def test_each_language_runs(make_programs: MakePrograms, language: str, code: str) -> None:
    programs = make_programs()
    if language == "javascript" and programs.find("node") is None:
        pytest.skip("node is not installed")
    said = run(programs, language, code)
    assert said == "Exit code: 3\n--- stdout ---\nout\n--- stderr ---\nerr"


def test_its_directory_is_private_and_gone_afterwards(make_programs: MakePrograms, tmp_path: Path) -> None:
    code = "import os; d = os.path.dirname(os.path.abspath(__file__)); print(d, oct(os.stat(d).st_mode))"
    directory, mode = run(make_programs(), "python", code).splitlines()[-1].split()
    assert Path(directory).parent == tmp_path / "tmp"
    assert stat.S_IMODE(int(mode, 8)) == 0o700
    assert list((tmp_path / "tmp").iterdir()) == []


def test_its_time_is_limited_and_what_it_printed_is_told(make_programs: MakePrograms) -> None:
    with pytest.raises(ToolFailed) as failed:
        run(make_programs(), "python", "print('begun')\nwhile True: pass", 4)
    assert failed.value.status == "timeout"
    assert failed.value.text.startswith(
        "Error: Execution timed out.\nExit code: timeout\n--- stdout ---\nbegun"
    )


def test_a_language_that_is_not_allowed_is_refused(make_programs: MakePrograms) -> None:
    with pytest.raises(ToolFailed, match="'cobol'; allowed are: python, javascript, bash"):
        run(make_programs(), "cobol", "x")
    with pytest.raises(ToolFailed, match="'bash'; allowed are: python"):
        run(make_programs(), "bash", "echo", allowed_languages=["python"])
    assert run(make_programs(), "sh", "echo hi", allowed_languages=[]).endswith("hi")


def test_an_interpreter_that_is_missing_is_named(make_programs: MakePrograms, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="docker is not installed"):
        run(make_programs(environ={"PATH": str(tmp_path)}), "python", "x", backend="docker")


def test_it_exists_only_where_it_is_enabled(make_programs: MakePrograms) -> None:
    assert toolbox_of(Host(make_programs())).find("code_exec") is None


def docker(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(_DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "RECORD": str(tmp_path / "record")}


def test_a_container_gets_the_code_read_only_and_no_network(
    make_programs: MakePrograms, tmp_path: Path
) -> None:
    programs = make_programs(environ=docker(tmp_path), passed=("RECORD",))
    said = run(programs, "bash", "cat; echo from inside; exit 2", backend="docker")
    assert said == "Exit code: 2\n--- stdout ---\nfrom inside"
    asked = (tmp_path / "record").read_text()
    for part in ("--rm", "--network none", "--memory=256m", "--cpus=1", ":/code:ro", "python:3.12-slim"):
        assert part in asked


def test_a_container_ends_with_its_client_however_that_ends(tmp_path: Path) -> None:
    (tmp_path / "main.sh").write_text("echo started; exec sleep 1000")
    command = docker_command("image", ("bash",), tmp_path / "main.sh")
    environ = {**os.environ, **docker(tmp_path)}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        began = time.monotonic()
        process.stdin.close()
        assert process.wait(30) == 137
        assert time.monotonic() - began < 10
