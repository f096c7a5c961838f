"""Looks at the limits of the operating system on files and processes, against what the configuration may need."""

from __future__ import annotations

__all__ = ["look"]

import os
from collections.abc import Iterator

from openclaw_actors.cli.doctor import proc
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning
from openclaw_actors.config.rules import FILES_FOR_ITSELF, FILES_PER_SESSION

PROCESSES_FOR_ITSELF = 8
"""`start`, admin, supervisor and the services."""

THREADS_BESIDE = 24
"""Of the store, of name look-ups, and of a command beside the gateway."""


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    yield from _files(context)
    yield from _processes(context)
    yield from _groups(context)
    yield from _ptrace(context)


def _files(context: Context) -> Iterator[Finding]:
    config = context.config
    _, limit = proc.limit_of(context.pid, "Max open files", context.proc)
    if limit is None:
        return
    live = config.sessions.max_live
    needed = FILES_PER_SESSION * live + FILES_FOR_ITSELF
    if limit < needed:
        fits = max(0, (limit - FILES_FOR_ITSELF) // FILES_PER_SESSION)
        yield error(
            f"the limit of open files is {limit}; sessions.max_live = {live} needs {needed}",
            why="start refuses it",
            remedy=f"LimitNOFILE=65536 in the service, `ulimit -n`, or sessions.max_live: {fits}",
        )
        return
    connections = max(config.websocket.max_connections, config.http.max_connections)
    if limit < connections + FILES_FOR_ITSELF:
        yield warning(
            f"the limit of open files is {limit}, and {connections} connections are allowed",
            why="clients above it are not let in, and see no reason",
            remedy=f"LimitNOFILE=65536, or websocket.max_connections: {max(1, limit - FILES_FOR_ITSELF)}",
        )
        return
    yield ok(f"{limit} open files are allowed, {max(needed, connections + FILES_FOR_ITSELF)} may be needed")


def _needed(context: Context) -> int:
    """Processes and threads that may still be made: of a gateway that runs, its services are counted already."""
    return context.config.sessions.max_live + PROCESSES_FOR_ITSELF + THREADS_BESIDE


def _processes(context: Context) -> Iterator[Finding]:
    if os.geteuid() == 0:
        return  # root is not counted
    limit, _ = proc.limit_of(context.pid, "Max processes", context.proc)
    if limit is None:
        return
    used = proc.threads_of(os.geteuid(), context.proc)
    if used + _needed(context) > limit:
        yield warning(
            f"this user may have {limit} processes and threads, has {used}, and may need {_needed(context)} more",
            why="a conversation that cannot be forked is refused",
            remedy="LimitNPROC=infinity in the service, `ulimit -u`, or a lower sessions.max_live",
        )


def _groups(context: Context) -> Iterator[Finding]:
    group = proc.group_limits(context.pid, "pids", context.proc, context.cgroups)
    needed = _needed(context)
    if group is not None and group.left < needed:
        yield warning(
            f"the control group allows {group.limit} processes and threads, {group.used} are there, and "
            f"{needed} more may be needed",
            why="a conversation that cannot be forked is refused",
            remedy="TasksMax=infinity in the service, `docker run --pids-limit`, or a lower sessions.max_live",
        )
    for name in ("pid_max", "threads-max"):
        most = proc.number_in(context.proc / "sys/kernel" / name)
        if most is not None and most < 2 * needed:
            yield warning(
                f"kernel.{name} is {most}",
                why=f"the gateway alone may need {needed}",
                remedy=f"sysctl -w kernel.{name}=65536",
            )


def _ptrace(context: Context) -> Iterator[Finding]:
    scope = proc.number_in(context.proc / "sys/kernel/yama/ptrace_scope")
    if scope == 0 and os.geteuid() != 0:
        yield info(
            "kernel.yama.ptrace_scope is 0: each process of this user may read the memory of the others",
            why="a tool or another program of this user can read the provider's key",
            remedy="sysctl -w kernel.yama.ptrace_scope=1, and a user for the gateway alone",
        )
