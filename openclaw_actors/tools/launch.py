"""Decides with what a program starts: its environment, its limits, the launcher that waits for the word.

No `preexec_fn`: Python code between fork and exec can wait for ever for a lock of another thread.
"""

from __future__ import annotations

__all__ = [
    "GO",
    "MARK",
    "ProgramLimits",
    "close_pipes",
    "environment_of",
    "launcher",
    "limit",
    "start_leader",
]

import os
import pwd
import resource
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_actors.config import GatewayConfig

GO = b"go\n"
MARK = "OPENCLAW_PROGRAM"
"""The environment variable by which the processes of one program are recognised wherever they went."""

_SHELL = "/bin/sh"
_MEGABYTE = 1024 * 1024
_OPEN_FILES = 1024
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ")
_PASSED_PREFIX = "LC_"
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

_LAUNCH = 'read -r go || exit 126; exec "$@" </dev/null'
_LAUNCH_WITH_STDIN = 'read -r go || exit 126; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """What one program may use; 0: no limit."""

    output_bytes: int = 65_536
    """Kept of each of stdout and stderr; the rest is read and dropped."""
    memory_mb: int = 1024
    processes: int = 256
    file_mb: int = 1024

    @classmethod
    def of(cls, config: GatewayConfig) -> ProgramLimits:
        """Those of the configuration."""
        tooling = config.tooling
        return cls(
            output_bytes=tooling.max_output_bytes,
            memory_mb=tooling.max_memory_mb,
            processes=tooling.max_processes,
            file_mb=tooling.max_file_mb,
        )


def launcher(arguments: Sequence[str], *, keeps_stdin: bool) -> list[str]:
    """The command that waits for `GO` on its stdin and then becomes the program.

    Args:
        arguments: of the program; the first is what is run.
        keeps_stdin: the program inherits this stdin, instead of an empty one.
    """
    return [_SHELL, "-c", _LAUNCH_WITH_STDIN if keeps_stdin else _LAUNCH, _SHELL, *arguments]


def start_leader(
    arguments: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    mark: str,
    limits: ProgramLimits,
    keeps_stdin: bool,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program that waits for `GO` on its stdin, as the leader of a process group of its own.

    Args:
        arguments, keeps_stdin: as for `launcher`.
        mark: stands in the environment of all that it starts.

    Returns:
        The process, with pipes for its three streams, and a descriptor that becomes readable at its end.

    Raises:
        OSError: it cannot be started; nothing of it is left.
    """
    leader = subprocess.Popen(
        launcher(arguments, keeps_stdin=keeps_stdin),
        env={**environment, MARK: mark},
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        bufsize=0,
    )
    try:
        limit(leader.pid, limits)
        return leader, os.pidfd_open(leader.pid)
    except OSError:
        leader.kill()
        leader.wait()
        close_pipes(leader)
        raise


def close_pipes(leader: subprocess.Popen[bytes]) -> None:
    """Close this side of a program's streams."""
    for pipe in (leader.stdin, leader.stdout, leader.stderr):
        if pipe is not None:
            pipe.close()


def environment_of(environ: Mapping[str, str], *, passed: Collection[str], temporary: Path) -> dict[str, str]:
    """The environment of a program: what an allow-list names, and a temporary directory of its own."""
    names = {*_PASSED, *passed}
    found = {
        name: value for name, value in environ.items() if name in names or name.startswith(_PASSED_PREFIX)
    }
    found.setdefault("PATH", _DEFAULT_PATH)
    if "HOME" not in found:
        found["HOME"] = _home() or str(temporary)
    return {**found, "TMPDIR": str(temporary), "TERM": "dumb", "PAGER": "cat", "NO_COLOR": "1"}


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def limit(pid: int, limits: ProgramLimits) -> None:
    """Limit a process that was just started, with all that it will start.

    Raises:
        OSError: it has ended, or is not ours.
    """
    for kind, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits.memory_mb * _MEGABYTE or None),
        (resource.RLIMIT_FSIZE, limits.file_mb * _MEGABYTE or None),
        (resource.RLIMIT_NPROC, _most_tasks(limits.processes)),
    ):
        _, hard = resource.prlimit(pid, kind)
        most = hard if wanted is None or 0 <= hard < wanted else wanted
        resource.prlimit(pid, kind, (most, most))
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(_OPEN_FILES, hard), hard))
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    except OSError:
        return  # the kernel may pick another when memory runs out; nothing else depends on it


def _most_tasks(more: int) -> int | None:
    """RLIMIT_NPROC, which counts all processes and threads of this user: so many more than there are now at all."""
    try:
        now = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    except (OSError, IndexError, ValueError):
        return None
    return now + more if more else None
