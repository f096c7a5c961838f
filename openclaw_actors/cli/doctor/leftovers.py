"""Looks at what a dead gateway left: its record, its sockets, and processes of it that still live."""

from __future__ import annotations

__all__ = ["look"]

import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from openclaw_actors.actors.rundir import (
    StateLock,
    clean_stale_boots,
    process_start_ticks,
    read_any_record,
    read_record,
    socket_holders,
)
from openclaw_actors.cli.doctor import proc
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, counted, error, info, ok, warning
from openclaw_actors.errors import AlreadyRunning, OpenClawError

_MANY_DEAD_SOCKETS = 100
_NAMED = 10


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    run = context.paths.run
    if context.run_problem or not run.is_dir():
        return
    boots = [path for path in run.iterdir() if path.is_dir() and not path.is_symlink()]
    if context.record is not None:
        yield from _beside_the_living(boots, context)
        return
    holders = proc.lock_holders(run / "lock", context.proc)
    if holders:
        who = ", ".join(f"pid {pid}" if pid else "a process of another container" for pid in holders)
        yield error(
            f"{run}/lock is held by {who}, but nothing says what runs there",
            why="a start is refused; a gateway is just starting, or runs in another container",
            remedy="try again in a moment; else end that process",
        )
        return
    yield from _of_the_dead(run, boots)


def _beside_the_living(boots: list[Path], context: Context) -> Iterator[Finding]:
    assert context.record is not None
    mine = Path(context.record.run_dir)
    others = [path.name for path in boots if path != mine]
    if others:
        yield info(
            f"{context.paths.run} holds directories of earlier boots: {', '.join(sorted(others)[:5])}",
            why="a boot that just ended removes its own; else the next start does",
        )
    dead = _dead_sockets(mine, context.proc)
    if dead > _MANY_DEAD_SOCKETS:
        yield warning(
            f"{dead} sockets in {mine} have no process any more",
            why="each actor should remove its own; they fill the directory",
            remedy="openclaw-actors stop, then start",
        )
    else:
        yield ok(f"the run directory is that of the gateway with the pid {context.record.pid}")


def _dead_sockets(directory: Path, root: Path) -> int:
    try:
        known = (root / "net/unix").read_text(errors="replace")
        names = list(directory.iterdir())
    except OSError:
        return 0
    living = {fields[7] for line in known.splitlines()[1:] if len(fields := line.split(None, 7)) == 8}
    return sum(str(path) not in living and stat.S_ISSOCK(_mode_of(path)) for path in names)


def _mode_of(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _of_the_dead(run: Path, boots: list[Path]) -> Iterator[Finding]:
    repair = partial(_clean, run)
    alive = sorted({pid for path in boots for pid in socket_holders(path)})
    if alive:
        named = " ".join(map(str, alive[:_NAMED]))
        yield error(
            f"{counted(len(alive), 'process', 'processes')} of a dead gateway still alive: {named}",
            why="they may hold the ports and the store",
            remedy=f"kill -9 {named}; the next start does it too",
            repair=repair,
        )
    record = read_any_record(run)
    if record is not None:
        again = process_start_ticks(record.pid) is not None
        yield info(
            f"the gateway with the pid {record.pid} was killed ({record.state} was the last that it said)"
            + ("; another process has that pid now" if again else ""),
            why="nothing accepted is lost: the next start goes on with it",
            repair=None if alive else repair,
        )
    sockets = sum(1 for path in boots for _ in path.iterdir())
    if boots and not alive:
        yield info(
            f"{counted(sockets, 'dead socket')} of {counted(len(boots), 'boot')} in {run}; the next start removes them",
            repair=repair if record is None else None,
        )
    if not boots and record is None:
        yield ok("nothing of a dead gateway is left")


def _clean(run: Path) -> str:
    lock = StateLock(run)
    try:
        lock.acquire()
    except AlreadyRunning:
        raise OpenClawError("a gateway has started meanwhile") from None
    try:
        if read_record(run) is not None:
            raise OpenClawError("a gateway runs there by now")
        clean_stale_boots(run)
    finally:
        lock.release()
    return f"ended and removed what was left in {run}"
