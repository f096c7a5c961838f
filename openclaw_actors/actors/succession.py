"""Owns how one `start` hands a state directory on to the next: a file in `run/` that names the successor, and a signal.

The successor writes `run/successor.json` and signals the `start` that runs. That one drains, lets go of the lock, and
stays until the file is gone, which means that it is not needed any more. If the successor fails or dies first, it
serves again: it still has its configuration, its secrets and its code. Neither sends the other a message of ours, so
the two may be of any two versions.
"""

from __future__ import annotations

__all__ = [
    "SIGNAL",
    "Successor",
    "can_make_room",
    "forget_successor",
    "is_needed_again",
    "name_successor",
    "read_successor",
    "tell_failed",
]

import asyncio
import os
import signal
from pathlib import Path

import msgspec

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks
from openclaw_actors.errors import StateDirError

SIGNAL = signal.SIGUSR2
"""Sent to the `start` that runs, once the successor is named."""

FILE_NAME = "successor.json"
_POLL_S = 0.02


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """What `run/successor.json` says of the `start` that takes over."""

    pid: int
    started_ticks: int
    """Tells it from a later process with the same pid."""
    version: str
    grace_s: float
    """For the turns that run; what does not finish is continued by the successor."""
    within_s: float
    """From when the lock is free; a successor that is not ready by then is killed."""
    failed: bool = False
    """It did not get ready, and has let go of everything."""

    @property
    def lives(self) -> bool:
        """Whether its process is there."""
        return process_start_ticks(self.pid) == self.started_ticks


def can_make_room(old: RunRecord) -> bool:
    """Whether a `start` listens to the signal: an older version does not, and would be killed by it."""
    try:
        status = Path(f"/proc/{old.pid}/status").read_text()
    except OSError:
        return False  # it has ended, or is a user's whose processes are hidden from us
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (SIGNAL - 1) & 1)


def name_successor(run: Path, old: RunRecord, *, version: str, grace_s: float, within_s: float) -> Successor:
    """Have the `start` that runs make room for this process.

    Args:
        run: the run directory of both.
        old: what runs there.
        version: of this program.
        grace_s: for running turns, in seconds.
        within_s: so long this process may take to get ready.

    Raises:
        StateDirError: another one takes over already, the file cannot be written, or what runs is another user's.
    """
    other = read_successor(run)
    if other is not None and other.lives and not other.failed and other.pid != os.getpid():
        raise StateDirError(f"pid {other.pid} is taking over already; wait for it, or end it with a signal")
    us = Successor(
        pid=os.getpid(),
        started_ticks=process_start_ticks(os.getpid()) or 0,
        version=version,
        grace_s=grace_s,
        within_s=within_s,
    )
    _write(run, us)
    try:
        pidfd = os.pidfd_open(old.pid)
        try:
            if process_start_ticks(old.pid) == old.started_ticks:
                signal.pidfd_send_signal(pidfd, SIGNAL)
        finally:
            os.close(pidfd)
    except ProcessLookupError:
        pass  # it has just ended: there is nothing to wait for
    except OSError as error:
        forget_successor(run)
        raise StateDirError(f"pid {old.pid} cannot be told to make room: {error.strerror}") from None
    return us


def read_successor(run: Path) -> Successor | None:
    """Who takes over, or did not manage to; None if nobody does."""
    try:
        return msgspec.json.decode((run / FILE_NAME).read_bytes(), type=Successor)
    except (OSError, msgspec.MsgspecError):
        return None


def forget_successor(run: Path) -> None:
    """Nobody takes over any more: it is done, or was given up on purpose."""
    (run / FILE_NAME).unlink(missing_ok=True)


def tell_failed(run: Path, us: Successor) -> None:
    """This process did not get ready and holds nothing any more: whoever served before may serve again."""
    try:
        _write(run, msgspec.structs.replace(us, failed=True))
    except StateDirError:
        pass  # the end of this process says the same


def _write(run: Path, successor: Successor) -> None:
    temporary = run / f".{FILE_NAME}.{os.getpid()}"
    try:
        temporary.write_bytes(msgspec.json.encode(successor))
        temporary.replace(run / FILE_NAME)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StateDirError(f"cannot write in {run}: {error.strerror}") from None


async def is_needed_again(run: Path, successor: Successor) -> bool:
    """Wait for what becomes of the successor; returns whether the one that made room has to serve again."""
    loop = asyncio.get_running_loop()
    end = loop.time() + successor.within_s
    while True:
        alive = successor.lives  # before the file is read: it takes the file away, then it may end
        said = read_successor(run)
        if said is None or said.pid != successor.pid:
            return False
        if said.failed or not alive:
            return True
        if loop.time() > end:
            _kill(successor)
            return True
        await asyncio.sleep(_POLL_S)


def _kill(successor: Successor) -> None:
    try:
        pidfd = os.pidfd_open(successor.pid)
    except ProcessLookupError:
        return
    try:
        if successor.lives:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended meanwhile
    finally:
        os.close(pidfd)
