"""Decides how a running gateway is asked to end, and when it is gone."""

from __future__ import annotations

__all__ = ["command"]

import asyncio
import os
import select
import signal
import time

import click

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks
from openclaw_actors.cli.common import Invocation, Seconds, common_options, pass_invocation, paths_of
from openclaw_actors.errors import ActorError, OpenClawError, StateDirError

MARGIN_S = 30.0
"""Beyond the grace period, for the processes to end; longer than `start` itself waits before it kills them."""

ASK_TIMEOUT_S = 2.0


@click.command("stop")
@click.option(
    "--grace",
    type=Seconds(longest=86_400.0),
    metavar="S",
    help="Seconds that running turns may still take; else `graceful_shutdown_seconds`.",
)
@common_options
@pass_invocation
def command(invocation: Invocation, grace: float | None) -> None:
    """Ask the running gateway to finish what runs and to end, and wait until it is gone."""
    from openclaw_actors.cli.running import require_running

    loaded = invocation.find()
    run = paths_of(loaded).run
    from openclaw_actors.cli.progress import Spinner

    record = require_running(run)
    grace_s = loaded.config.graceful_shutdown_seconds if grace is None else grace
    pidfd = _open_process(record)
    if pidfd is None:
        return
    try:
        if not asyncio.run(_ask_to_end(record, grace)):
            _signal(pidfd)
        with Spinner("the gateway finishes what runs"):
            _wait_until_gone(record, pidfd, timeout_s=grace_s + MARGIN_S)
    finally:
        os.close(pidfd)


def _open_process(record: RunRecord) -> int | None:
    """A descriptor of the process of `start`; None if it has just ended."""
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    if process_start_ticks(record.pid) != record.started_ticks:
        os.close(pidfd)
        return None
    return pidfd


async def _ask_to_end(record: RunRecord, grace: float | None) -> bool:
    """Tell the supervisor, which alone can be told a grace period; returns whether it heard."""
    from openclaw_actors.cli.running import ask_supervisor
    from openclaw_actors.messages.admin import Shutdown

    try:
        await ask_supervisor(record, Shutdown(grace_s=grace), timeout_s=ASK_TIMEOUT_S)
    except (ActorError, StateDirError):
        # It does not answer, or the disk has no room for a socket to ask by. `start` itself gets a signal then.
        return False
    return True


def _signal(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except ProcessLookupError:
        return  # the drain was faster


def _wait_until_gone(record: RunRecord, pidfd: int, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    gone, _, _ = select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
    if not gone:
        raise OpenClawError(
            f"the gateway (pid {record.pid}) does not end within {timeout_s:.0f} s; 'kill -9 {record.pid}' ends it"
        )
