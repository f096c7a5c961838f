"""Owns one program while it runs: its leader, its group, its pipes. `programs.py` decides when it ends."""

from __future__ import annotations

__all__ = ["Cause", "Process", "has_mark", "private_bytes"]

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from openclaw_actors.proctree import kill
from openclaw_actors.tools.clip import Clip
from openclaw_actors.tools.launch import GO, MARK, ProgramLimits, close_pipes, start_leader

Cause: TypeAlias = Literal["exited", "timeout", "memory", "processes"]

_READ_BYTES = 65_536
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A program that waits for the word to start, with its standard streams drained for ever.

    Args:
        mark: tells its processes, wherever they went.
        arguments: what is run, and its arguments.
        cwd: where.
        environment: all of it.
        limits: set before the program's first instruction.
        clips: take stdout and stderr.
        keeps_stdin: the program gets a stdin that stays open.

    Raises:
        OSError: it cannot be started; nothing of it is left.
        ValueError: an argument holds a NUL.
    """

    def __init__(
        self,
        mark: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        limits: ProgramLimits,
        clips: tuple[Clip, Clip],
        keeps_stdin: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.mark = mark
        self.seen: set[int] = set()
        """Its processes, as they were found last."""
        self.hurry = asyncio.Event()
        """Set: no more courtesy on the way to its end."""
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.code = -1
        self._broken: asyncio.Future[Cause] = self._loop.create_future()
        self._eof = asyncio.Event()
        self._keeps_stdin = keeps_stdin
        self._leader, self._pidfd = start_leader(
            arguments,
            cwd=cwd,
            environment=environment,
            mark=mark,
            limits=limits,
            keeps_stdin=keeps_stdin,
        )
        self.pid = self._leader.pid
        self._loop.add_reader(self._pidfd, self._leader_ended)
        assert self._leader.stdout is not None
        assert self._leader.stderr is not None
        self._reading = {self._leader.stdout.fileno(): clips[0], self._leader.stderr.fileno(): clips[1]}
        for fd in self._reading:
            os.set_blocking(fd, False)
            self._loop.add_reader(fd, self._read, fd)

    def go(self) -> None:
        """Let it start."""
        assert self._leader.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed already: its end tells
            self._leader.stdin.write(GO)
        if not self._keeps_stdin:
            self._leader.stdin.close()

    # What it does

    async def wait(self, timeout_s: float) -> Cause:
        """Wait until its leader has ended, a limit is broken, or its time is over; returns which."""
        ends: set[asyncio.Future[Any]] = {self.exited, self._broken}
        await asyncio.wait(ends, timeout=timeout_s or None, return_when=asyncio.FIRST_COMPLETED)
        if self._broken.done():
            return self._broken.result()
        return "exited" if self.exited.done() else "timeout"

    async def exited_within(self, limit_s: float) -> None:
        """Wait for the end of its leader, for a time, unless there is hurry."""
        hurry = asyncio.ensure_future(self.hurry.wait())
        ends: set[asyncio.Future[Any]] = {self.exited, hurry}
        await asyncio.wait(ends, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()

    async def drained(self, limit_s: float) -> None:
        """Wait, for a time, until nobody has its stdout and stderr open any more and all is read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._eof.wait()

    def break_off(self, cause: Cause) -> None:
        """It breaks a limit."""
        self.hurry.set()
        if not self._broken.done():
            self._broken.set_result(cause)

    def signal_group(self, number: int) -> None:
        """Send a signal to its group; to be used until `close` only."""
        kill(-self.pid, number)

    def close(self) -> None:
        """Reap it and let go of everything. Its group's number may be another's from now on."""
        for fd in list(self._reading):
            self._stop_reading(fd)
        close_pipes(self._leader)
        if self.exited.done():
            code = self._leader.wait()
            self.code = code if code >= 0 else 128 - code
        else:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._leader.returncode = self.code  # nobody can wait for it any more

    # What happens to it

    def _leader_ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exited.set_result(None)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._reading[fd].feed(data)
        else:
            self._stop_reading(fd)

    def _stop_reading(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        del self._reading[fd]
        if not self._reading:
            self._eof.set()


def has_mark(pid: int, mark: str) -> bool:
    """Whether a process belongs to the program with this mark, as far as its environment tells."""
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def private_bytes(pid: int) -> int:
    """Resident memory that a process does not share with files; 0 if it has ended."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (OSError, ValueError):
        return 0
    return max(0, int(resident) - int(shared)) * _PAGE
