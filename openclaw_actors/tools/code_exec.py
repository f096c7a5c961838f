"""The tool `code_exec`: a piece of code in its own file, run by an interpreter here or in a container."""

from __future__ import annotations

__all__ = ["CodeExecTool", "docker_command"]

import os
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Tool, ToolFailed
from openclaw_actors.tools.programs import Ended
from openclaw_actors.tools.reports import notes, time_allowed

_INTERPRETERS = MappingProxyType(
    {
        "python": ("main.py", ("python3", "-u")),
        "javascript": ("main.js", ("node",)),
        "bash": ("main.sh", ("bash",)),
        "sh": ("main.sh", ("sh",)),
        "perl": ("main.pl", ("perl",)),
        "ruby": ("main.rb", ("ruby",)),
    }
)
"""Language to the file's name and what runs it."""

_MOST_S = 300
_TIMED_OUT = "Error: Execution timed out."
_CONTAINER = "/code"
_IN_CONTAINER = (
    '"$@" </dev/null & code=$!; exec 3<&0; { cat <&3 >/dev/null; kill -9 "$code"; } & wait "$code"'
)
"""First process of the container. Its stdin is the client's: it closes with the client, however that ends, and then the
container ends too. With the first process the kernel ends all others."""


class CodeExecArguments(Arguments, frozen=True):
    """What `code_exec` is called with."""

    language: Annotated[str, Meta(min_length=1, max_length=32, description="python, javascript or bash.")]
    code: Annotated[str, Meta(min_length=1, max_length=1_000_000, description="The program's whole text.")]
    timeout_seconds: (
        Annotated[int, Meta(description="After so many seconds, 1 to 300, it is ended.")] | None
    ) = None


class CodeExecTool(Tool[CodeExecArguments]):
    """Runs code in the workspace, or in a container without a network."""

    name = "code_exec"
    description = (
        "Run a piece of code and answer its exit code, stdout and stderr. It has no stdin. What it leaves in the "
        "background is ended with it."
    )
    dangerous = True
    arguments = CodeExecArguments

    @property
    def timeout_s(self) -> float:
        return 0.0  # its own: what was printed until then is answered

    async def run(self, arguments: CodeExecArguments) -> str:
        settings = self.host.config.plugins.native.code_exec
        name, interpreter = self._interpreter(arguments.language)
        wanted_s = arguments.timeout_seconds
        asked_s = settings.timeout_seconds if wanted_s is None else float(wanted_s)
        limit_s = time_allowed(asked_s, self.host.config, most_s=_MOST_S)
        async with self.host.programs.directory() as directory:
            file = directory / name
            try:
                file.write_text(arguments.code, encoding="utf-8")
            except (OSError, UnicodeError) as error:
                raise ToolFailed(f"Error: the code cannot be written: {error}.") from None
            ended = await self.host.programs.run(
                self._command(interpreter, file),
                timeout_s=limit_s,
                output_bytes=settings.max_output_bytes,
                temporary=directory,
                keeps_stdin=settings.backend == "docker",
            )
        text = _report(ended)
        said = "\n".join([text, *notes(ended, limit_s, self.host.config)])
        if ended.cause == "timeout":
            raise ToolFailed(f"{_TIMED_OUT}\n{said}", status="timeout")
        return said

    def _interpreter(self, language: str) -> tuple[str, tuple[str, ...]]:
        allowed = self.host.config.plugins.native.code_exec.allowed_languages or tuple(_INTERPRETERS)
        known = [each for each in allowed if each in _INTERPRETERS]
        if language not in known:
            raise ToolFailed(
                f"Error: 'language' is {language!r}; allowed are: {', '.join(known) or 'none'}.",
                status="denied",
            )
        return _INTERPRETERS[language]

    def _command(self, interpreter: tuple[str, ...], file: Path) -> list[str]:
        settings = self.host.config.plugins.native.code_exec
        if settings.backend == "docker":
            self._must_find("docker")
            return docker_command(settings.docker_image, interpreter, file)
        self._must_find(interpreter[0])
        return [*interpreter, str(file)]

    def _must_find(self, program: str) -> None:
        if self.host.programs.find(program) is None:
            raise ToolFailed(f"Error: {program} is not installed on the gateway's machine.")


def docker_command(image: str, interpreter: tuple[str, ...], file: Path) -> list[str]:
    """Run a file in a container that sees nothing else, has no network, and ends with this command.

    Args:
        image: must hold `sh`, `cat` and the interpreter.
        interpreter: the command that takes the file.
        file: on this machine.
    """
    return [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--network",
        "none",
        "--memory=256m",
        "--memory-swap=256m",
        "--cpus=1",
        "--pids-limit=256",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--user={os.getuid()}:{os.getgid()}",
        "--read-only",
        "--tmpfs=/tmp",
        "--workdir=/tmp",
        f"--volume={file.parent}:{_CONTAINER}:ro",
        "--entrypoint=sh",
        "--",
        image,
        "-c",
        _IN_CONTAINER,
        "sh",
        *interpreter,
        f"{_CONTAINER}/{file.name}",
    ]


def _report(ended: Ended) -> str:
    code = "timeout" if ended.cause == "timeout" else str(ended.code)
    out, err = ended.stdout.text().rstrip("\n"), ended.stderr.text().rstrip("\n")
    return "\n".join(
        [
            f"Exit code: {code}",
            *(["--- stdout ---", out] if out else []),
            *(["--- stderr ---", err] if err else []),
        ]
    )
