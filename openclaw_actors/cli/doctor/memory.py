"""Looks at memory: what is there for the sessions that may live at once, by what those that live take now."""

from __future__ import annotations

__all__ = ["look"]

from statistics import median

from openclaw_actors.cli.doctor import proc
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, info, ok, warning
from openclaw_actors.cli.doctor.runner import blocking
from openclaw_actors.cli.tables import size
from openclaw_actors.errors import OpenClawError

SESSION_BYTES = 4_500_000
"""What a session that talks takes for itself, where none can be measured."""

SERVICES_BYTES = 100_000_000
_SAMPLE = 30
_NO_OVERCOMMIT = 2


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    pids = await _sessions(context)

    def measure(context: Context) -> list[Finding]:
        return _findings(context, pids)

    return await blocking(measure)(context)


async def _sessions(context: Context) -> list[int]:
    if context.gateway is None:
        return []
    try:
        status = await context.gateway.status()
    except OpenClawError:
        return []  # told where the actors are looked at
    nodes = [node for service in status.root.children for node in service.children]
    return [node.pid for node in nodes if node.pid is not None][:_SAMPLE]


def _findings(context: Context, pids: list[int]) -> list[Finding]:
    measured = [each for pid in pids if (each := proc.private_bytes(pid, context.proc)) is not None]
    each = int(median(measured)) if measured else SESSION_BYTES
    live = context.config.sessions.max_live
    needed = live * each + (0 if context.record is not None else SERVICES_BYTES)
    how = f"{size(each)} a session, {'measured' if measured else 'by experience'}"
    found = []
    room, where = _room(context)
    if room is not None and needed > room:
        fits = max(1, int(room // each))
        found.append(
            warning(
                f"{live} sessions may take {size(needed)} ({how}), and {size(room)} are free in {where}",
                why="the kernel kills the largest process when memory ends; conversations restart, but slowly",
                remedy=f"sessions.max_live: {fits}, or more memory",
            )
        )
    elif room is not None:
        found.append(ok(f"{live} sessions may take {size(needed)} ({how}); {size(room)} are free in {where}"))
    if proc.number_in(context.proc / "sys/vm/overcommit_memory") == _NO_OVERCOMMIT:
        found.append(
            info(
                "vm.overcommit_memory is 2",
                why="each fork must be able to copy all of its parent, so sessions are refused long before memory ends",
                remedy="sysctl -w vm.overcommit_memory=0",
            )
        )
    return found


def _room(context: Context) -> tuple[int | None, str]:
    free = None
    for line in _lines(context):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    group = proc.group_limits(context.pid, "memory", context.proc, context.cgroups)
    if group is not None and (free is None or group.left < free):
        return max(0, group.left), "the control group"
    return free, "the machine"


def _lines(context: Context) -> list[str]:
    try:
        return (context.proc / "meminfo").read_text().splitlines()
    except OSError:
        return []
