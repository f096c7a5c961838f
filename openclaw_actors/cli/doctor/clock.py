"""Looks at the clock: whether it was set while the gateway ran, and whether others agree with it."""

from __future__ import annotations

__all__ = ["look"]

import os
import time
from collections.abc import Iterator
from pathlib import Path

from openclaw_actors.actors.rundir import RunRecord
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, ok, warning
from openclaw_actors.cli.doctor.runner import blocking
from openclaw_actors.errors import OpenClawError

LEAST_YEAR_S = 1_735_689_600.0
"""The first of January 2025; no clock can rightly be before this program was written."""

STEP_S = 30.0
"""`start` takes its lock within this time; more means that the clock was set since."""

AHEAD_S = 60.0
WRONG_S = 300.0
CERTIFICATE_S = 14 * 86_400.0

_SYNC = "timedatectl; chronyc tracking: have the clock set by NTP, slowly"
_WHY = "approvals, de-duplication, retention and TLS go by it; order does not"


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    found = await blocking(_here)(context)
    found += await _against_the_provider(context)
    return found or [ok("nothing speaks against the clock")]


def _here(context: Context) -> Iterator[Finding]:
    now = time.time()
    if now < LEAST_YEAR_S:
        yield error("the clock is years behind", why=_WHY, remedy=_SYNC)
    if context.record is not None:
        yield from _stepped(context.record, context.paths.run, now)
    newest = _newest(context)
    if newest is not None and newest[0] > now + AHEAD_S:
        yield warning(
            f"{newest[1]} was written {newest[0] - now:.0f} s in the future: the clock was set back",
            why=_WHY,
            remedy=_SYNC,
        )


def _stepped(record: RunRecord, run: Path, now: float) -> Iterator[Finding]:
    """Compare when `start` began by the clock of now, and by the clock of then, which its lock's file shows."""
    ticks = record.started_ticks / os.sysconf("SC_CLK_TCK")
    began = now - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks
    try:
        noted = (run / "lock").stat().st_mtime
    except OSError:
        return
    step = began - noted
    if abs(step) > STEP_S:
        yield warning(
            f"the clock was set {'forward' if step > 0 else 'back'} by about {abs(step):.0f} s since the gateway began",
            why=_WHY,
            remedy=_SYNC,
        )


def _newest(context: Context) -> tuple[float, str] | None:
    """The newest of the files that are written all the time."""
    paths = context.paths
    candidates = (
        paths.memory / "sessions",
        paths.memory / "open-turns.jsonl",
        paths.memory / "store.lock",
        paths.logs / "gateway.log",
    )
    found = []
    for path in candidates:
        try:
            found.append((path.stat().st_mtime, str(path)))
        except OSError:
            continue
    return max(found, default=None)


async def _against_the_provider(context: Context) -> list[Finding]:
    try:
        probed = await context.probing.result()
    except OpenClawError:
        return []  # told where the provider is looked at
    found = []
    ahead = probed.clock_ahead_s
    if ahead is not None and abs(ahead) > AHEAD_S:
        make = error if abs(ahead) > WRONG_S else warning
        found.append(
            make(
                f"the clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of {probed.where}",
                why=_WHY,
                remedy=_SYNC,
            )
        )
    elif ahead is not None:
        found.append(ok(f"the clock agrees with that of {probed.where}"))
    ends = probed.certificate_ends
    if ends is not None and ends - time.time() < CERTIFICATE_S:
        found.append(
            warning(
                f"the certificate of {probed.where} ends in {max(0.0, ends - time.time()) / 86_400:.0f} days",
                why="after that no call is made",
                remedy="have the provider renew it, or check the clock here",
            )
        )
    return found
