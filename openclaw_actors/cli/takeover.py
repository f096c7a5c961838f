"""Decides whether a new version may take over from the gateway that runs, and what a person is told if it failed.

All of it is decided before the old one is touched.
"""

from __future__ import annotations

__all__ = ["TakeOver", "examine_old", "until_old_serves"]

import asyncio
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_actors import __version__
from openclaw_actors.actors.listening import ListenFailed, listen
from openclaw_actors.actors.rundir import RunRecord, process_start_ticks, read_record
from openclaw_actors.actors.succession import can_make_room
from openclaw_actors.config import GatewayConfig, StatePaths
from openclaw_actors.errors import OpenClawError
from openclaw_actors.store.migrations import FORMAT, format_to_open, steps_from

GRACE_S = 1.0
"""For running turns, where nothing else is said: the new one continues them, so nobody needs to wait for long."""

SERVES_AGAIN_WITHIN_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True)
class TakeOver:
    """The gateway that makes room.

    Args:
        record: what runs.
        command: its command line, as far as it can be read.
        grace_s: for its running turns, in seconds.
    """

    record: RunRecord
    command: str
    grace_s: float


def examine_old(
    paths: StatePaths, config: GatewayConfig, *, grace_s: float, say: Callable[[str], None]
) -> TakeOver | None:
    """Check everything that can be checked while the old one serves; returns None if nothing runs.

    Args:
        paths: of the state directory of both.
        config: of the new one, valid.
        grace_s: for running turns of the old one, in seconds.
        say: tells the person, a line at a time.

    Raises:
        OpenClawError: the old one cannot be taken over from, or the new one cannot listen.
        StoreCannotOpen: a newer version wrote the store.
    """
    found = format_to_open(paths.memory)
    record = read_record(paths.run)
    if record is None:
        say(f"nothing runs on {paths.state} that could be taken over")
        return None
    if record.managed:
        raise OpenClawError(
            f"the gateway (pid {record.pid}) belongs to a service manager, which would take its end for the end of the "
            "service; have that restart it: 'systemctl restart openclaw-actors'"
        )
    if record.state != "ready":
        raise OpenClawError(
            f"the gateway (pid {record.pid}) is {record.state}; take over when it is ready, see 'status'"
        )
    if not can_make_room(record):
        raise OpenClawError(
            f"the gateway (pid {record.pid}, {record.version or 'an old version'}) does not know how to make room; "
            "it was left alone. End it with 'openclaw-actors stop --grace 1', then start this one"
        )
    for name, port, old in (("port", config.port, record.ws), ("http.port", config.http.port, record.http)):
        if port and str(port) != old.rpartition(":")[2]:
            asyncio.run(_check_port(config.bind_address, port, setting=name))
    for step in steps_from(found):
        say(f"the store will be brought from format {found} to {FORMAT}: {step.does}")
    say(f"checked; {__version__} takes over from pid {record.pid} ({record.version or 'unknown version'})")
    return TakeOver(record=record, command=_command_of(record.pid), grace_s=grace_s)


async def _check_port(host: str, port: int, *, setting: str) -> None:
    try:
        sockets = await listen(host, port, setting=setting, retry_for_s=0.0)
    except ListenFailed as error:
        raise OpenClawError(f"{error.reason}; the gateway that runs was left alone") from None
    for each in sockets:
        each.close()


def _command_of(pid: int) -> str:
    try:
        parts = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return command_line([part.decode(errors="replace") for part in parts])


def command_line(parts: Sequence[str]) -> str:
    """What to type to start such a process again; what made it take over is left out."""
    kept: list[str] = []
    skip = False
    for part in parts:
        if skip or part in ("--take-over", "--grace"):
            skip = part == "--grace" and not skip
        elif not part.startswith("--grace="):
            kept.append(part)
    return shlex.join(kept)


def until_old_serves(run: Path, old: TakeOver) -> str:
    """Wait until the old gateway serves again; returns what to tell of it."""
    deadline = time.monotonic() + SERVES_AGAIN_WITHIN_S
    while time.monotonic() < deadline:
        record = read_record(run)
        if record is not None and record.pid == old.record.pid and record.state == "ready":
            return f"the gateway from before (pid {record.pid}, {record.version}) serves again"
        if process_start_ticks(old.record.pid) != old.record.started_ticks:
            break
        time.sleep(_POLL_S)
    again = f": {old.command}" if old.command else ""
    return f"the gateway from before does not serve again; see its log, then start it{again}"
