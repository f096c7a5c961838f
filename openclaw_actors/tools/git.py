"""The tool `git`: work in the repositories of the workspace, by a list of arguments that no shell sees."""

from __future__ import annotations

__all__ = ["GitTool"]

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Tool, ToolFailed
from openclaw_actors.tools.git_rules import (
    NEEDS_PUSH,
    SUBCOMMANDS,
    TAKES_REMOTE,
    GitRefused,
    check,
    check_configuration,
    check_todo,
)
from openclaw_actors.tools.programs import Ended
from openclaw_actors.tools.reports import report, time_allowed

_LIMIT_S = 30.0
_LOOK_LIMIT_S = 10.0
_CONFIG_BYTES = 4 * 1024 * 1024
_MOST_REPOSITORIES = 20
"""Within one that are looked at before a command runs."""
_LIST_INNER = r""""$@" ls-files --stage -z | tr '\0\n' '\n\0' | grep -a '^160000 '; true"""
"""A line for each, in which NUL stands for a line feed: a name may hold anything else."""

_CONFIGURATION = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "tag.forceSignAnnotated": "false",
    "push.gpgSign": "false",
    "log.showSignature": "false",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "credential.interactive": "false",
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "status.submoduleSummary": "false",
    "safe.bareRepository": "explicit",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "never",
}
"""Beats what any file says, in the processes that git itself starts, too."""

_GIT = ("git", *(part for key, value in _CONFIGURATION.items() for part in ("-c", f"{key}={value}")))

_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_EDITOR": ":",
        "GIT_SEQUENCE_EDITOR": ":",
        "GIT_MERGE_AUTOEDIT": "no",
        "GIT_PAGER": "cat",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
    }
)

_ALWAYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "status": ("--ignore-submodules=all",),
        "diff": ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all"),
        "log": ("--no-ext-diff", "--no-textconv"),
        "show": ("--no-ext-diff", "--no-textconv"),
        "fetch": ("--no-recurse-submodules",),
        "pull": ("--no-recurse-submodules",),
    }
)
_BARE: Mapping[str, tuple[str, ...]] = MappingProxyType({"log": ("--oneline", "-20"), "diff": ("--stat",)})
"""What a subcommand without arguments gets: little output."""

_Argument = Annotated[str, Meta(max_length=10_000)]


class GitArguments(Arguments, frozen=True):
    """What `git` is called with."""

    subcommand: Annotated[str, Meta(max_length=64, description=f"One of {', '.join(SUBCOMMANDS)}.")]
    args: Annotated[
        list[_Argument],
        Meta(
            max_length=200,
            description='Its arguments, each for itself: ["-m", "a message"]. No shell sees them.',
        ),
    ] = []
    cwd: Annotated[
        str, Meta(max_length=4096, description="Directory of the repository, relative to the workspace.")
    ] = "."


class GitTool(Tool[GitArguments]):
    """Runs git so that no repository, whatever stands in it, can make it run programs or leave the roots."""

    name = "git"
    description = (
        "Work in a git repository below the workspace. args is a list; options outside a fixed set are refused. "
        "A bare log shows 20 commits, a bare diff its statistics. Hooks and signatures are off."
    )
    dangerous = True
    arguments = GitArguments

    @property
    def timeout_s(self) -> float:
        return 0.0  # its own: what was printed until then is answered

    async def run(self, arguments: GitArguments) -> str:
        subcommand, args = arguments.subcommand, arguments.args
        self._check_subcommand(subcommand)
        if self.host.programs.find("git") is None:
            raise ToolFailed("Error: git is not installed on the gateway's machine.")
        cwd = self._directory(arguments.cwd)
        try:
            top, git_directory = await self._repository(cwd)
            await self._check_configurations(top)
            check(subcommand, args, await self._remotes(cwd) if subcommand in TAKES_REMOTE else ())
            if subcommand == "rebase":
                check_todo(_read(git_directory / "rebase-merge" / "git-rebase-todo"))
        except GitRefused as refusal:
            raise ToolFailed(f"Error: {refusal}.", status="denied") from None
        command = [subcommand, *_ALWAYS.get(subcommand, ()), *(args or _BARE.get(subcommand, ()))]
        limit_s = time_allowed(_LIMIT_S, self.host.config, most_s=_LIMIT_S)
        settings = self.host.config.plugins.native.git_tools
        ended = await self._git(cwd, command, limit_s, settings.max_diff_bytes)
        text = report(ended, limit_s, self.host.config)
        if ended.cause == "timeout":
            raise ToolFailed(text, status="timeout")
        return text

    def _check_subcommand(self, subcommand: str) -> None:
        if subcommand not in SUBCOMMANDS:
            allowed = ", ".join(SUBCOMMANDS)
            raise ToolFailed(
                f"Error: Unsupported git subcommand {subcommand!r}; allowed are {allowed}.", status="denied"
            )
        if subcommand in NEEDS_PUSH and not self.host.config.plugins.native.git_tools.allow_push:
            raise ToolFailed(
                f"Error: git {subcommand} is disabled by configuration (plugins.native.git_tools.allow_push).",
                status="denied",
            )

    # Where

    @property
    def _roots(self) -> list[Path]:
        """Where git may both read and write, links followed."""
        tooling = self.host.config.tooling
        read, write = tooling.allowed_read_roots, tooling.allowed_write_roots
        everywhere = [Path("/")]
        readable = everywhere if "*" in read else [Path(os.path.realpath(root)) for root in read]
        writable = everywhere if "*" in write else [Path(os.path.realpath(root)) for root in write]
        within = [inner for inner in writable if any(inner.is_relative_to(root) for root in readable)]
        return within + [inner for inner in readable if any(inner.is_relative_to(root) for root in writable)]

    def _is_within(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self._roots)

    def _directory(self, cwd: str) -> Path:
        path = self.host.programs.workspace / cwd if "\0" not in cwd else Path("/dev/null")
        if not self._is_within(path):
            raise ToolFailed(
                f"Error: 'cwd' is {cwd!r}, which is outside tooling.allowed_read_roots and allowed_write_roots.",
                status="denied",
            )
        if not path.is_dir():
            raise ToolFailed(f"Error: 'cwd' is {cwd!r}, which is no directory.")
        return Path(os.path.realpath(path))

    async def _repository(self, cwd: Path) -> tuple[Path, Path]:
        """Find the repository, and refuse one that reaches outside the roots; returns its top and its git directory."""
        found = await self._ask(cwd, "rev-parse", "--absolute-git-dir", "--git-common-dir", "--show-toplevel")
        git_directory, common, top = (cwd / line for line in found.decode(errors="replace").splitlines()[:3])
        outside = [
            path for path in (git_directory, common, top, *_borrowed(common)) if not self._is_within(path)
        ]
        if outside:
            raise GitRefused(f"the repository reaches outside the allowed roots: {outside[0]}")
        return top, git_directory

    async def _check_configurations(self, top: Path) -> None:
        """Check the repository and those within it: git looks into these, too, with their own configuration."""
        left, found = [top], 1
        while left:
            directory = left.pop()
            listing = await self._ask(directory, "config", "--list", "--show-scope", "--name-only", "-z")
            check_configuration(listing)
            for path in await self._within(directory):
                found += 1
                if found > _MOST_REPOSITORIES:
                    raise GitRefused(f"more than {_MOST_REPOSITORIES} repositories are within this one")
                left.append(path)

    async def _within(self, directory: Path) -> list[Path]:
        """The repositories within one that stand in its index and are there."""
        command = ["/bin/sh", "-c", _LIST_INNER, "sh", *_GIT]
        ended = await self._run(directory, command, _LOOK_LIMIT_S, _CONFIG_BYTES)
        if ended.cause != "exited" or ended.stdout.left_out:
            raise ToolFailed("Error: the repository's index cannot be read.")
        return _that_are_there(directory, ended.stdout.raw())

    async def _remotes(self, cwd: Path) -> list[str]:
        return (await self._ask(cwd, "remote")).decode(errors="replace").split()

    # Running it

    async def _ask(self, cwd: Path, *command: str) -> bytes:
        ended = await self._git(cwd, command, _LOOK_LIMIT_S, _CONFIG_BYTES)
        if ended.cause != "exited" or ended.code != 0 or ended.stdout.left_out:
            raise ToolFailed(f"Error: {ended.stderr.text().strip() or 'git does not answer'}")
        return ended.stdout.raw()

    async def _git(self, cwd: Path, command: Sequence[str], limit_s: float, output_bytes: int) -> Ended:
        return await self._run(cwd, [*_GIT, *command], limit_s, output_bytes)

    async def _run(self, cwd: Path, command: Sequence[str], limit_s: float, output_bytes: int) -> Ended:
        ceilings = ":".join(str(root.parent) for root in self._roots)
        return await self.host.programs.run(
            command,
            timeout_s=limit_s,
            cwd=cwd,
            environment={**_ENVIRONMENT, "GIT_CEILING_DIRECTORIES": ceilings},
            output_bytes=output_bytes,
        )


def _that_are_there(top: Path, listing: bytes) -> list[Path]:
    names = [line.partition(b"\t")[2].replace(b"\0", b"\n") for line in listing.split(b"\n") if line]
    paths = [top / os.fsdecode(name) for name in names]
    return [path for path in paths if os.path.lexists(path / ".git")]


def _read(path: Path) -> str:
    """A small file of a repository; empty if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(_CONFIG_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _borrowed(common: Path) -> list[Path]:
    """Where the repository takes objects from besides its own."""
    lines = _read(common / "objects" / "info" / "alternates").splitlines()
    return [common / "objects" / line for line in lines if line and not line.startswith("#")]
