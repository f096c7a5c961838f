"""Runs programs for the tools of one session, and lets nothing of them outlive their call.

A program leads a process group. What leaves the group falls to this process, a sub-reaper, when its parent ends, and is
ended with the program. Should this process die, its own parent ends what falls to it, and a guard ends it where no
ancestor is left.
"""

from __future__ import annotations

__all__ = ["Ended", "Programs"]

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_actors.proctree import children_of, descendants, end_strangers
from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.clip import Clip
from openclaw_actors.tools.guard import Guard
from openclaw_actors.tools.launch import ProgramLimits, environment_of
from openclaw_actors.tools.process import Cause, Process, has_mark, private_bytes
from openclaw_actors.tools.scratch import Scratch

logger = logging.getLogger(__name__)

_LOOK_S = 0.2
_TERMINATE_S = 0.3
"""Between SIGTERM and SIGKILL."""
_KILL_S = 2.0
_GUARD_STAYS_S = 30.0
"""After the last program: the next one does not have to start it."""
_LAST_WORDS_S = 0.2
"""For what a program has left in the background and that writes still; and for pipes whose writers are all dead."""
_FIRST_NAP_S, _LONGEST_NAP_S = 0.001, 0.02
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a program."""

    cause: Cause
    code: int
    """Its exit code; 128 + n after signal n."""
    stdout: Clip
    stderr: Clip


class Programs:
    """The programs that one session runs.

    Args:
        limits: of each of them.
        workspace: where they run, unless told otherwise; it is made when it is missing.
        scratch: the directory in which each gets a temporary directory of its own.
        environ: the environment of this process.
        passed: names of variables that programs get besides those that all get.
        spare: pids of children of this process that are no programs.
    """

    def __init__(
        self,
        limits: ProgramLimits,
        *,
        workspace: Path,
        scratch: Path,
        environ: Mapping[str, str],
        passed: Collection[str] = (),
        spare: Callable[[], Collection[int]] = tuple,
    ) -> None:
        self._limits = limits
        self.workspace = workspace
        self._scratch = Scratch(scratch)
        self._environ = environ
        self._passed = frozenset(passed)
        self._spare = spare
        self._running: set[Process] = set()
        self._numbers = itertools.count(1)
        self._guard = Guard(environment_of(environ, passed=(), temporary=scratch)["PATH"])
        self._clock: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many run."""
        return len(self._running)

    async def close(self) -> None:
        """Keep nothing for later programs: the session ends. Those that run end when their callers are cancelled."""
        await self._scratch.close()
        if not self._running:
            self.end_guard()

    def end_guard(self) -> None:
        """End the guard now; it is started again when it is needed."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        self._guard.end()

    def find(self, name: str) -> str | None:
        """The path of a program, as those that run would find it."""
        return shutil.which(name, path=self._guard.path)

    @contextlib.asynccontextmanager
    async def directory(self) -> AsyncIterator[Path]:
        """A private temporary directory, removed at the end."""
        try:
            path = await self._scratch.make()
        except OSError as error:
            raise ToolFailed(f"Error: there is no temporary directory: {error.strerror}.") from None
        try:
            yield path
        finally:
            await self._scratch.remove(path)

    async def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        output_bytes: int = 0,
        temporary: Path | None = None,
        keeps_stdin: bool = False,
    ) -> Ended:
        """Run a program and return what became of it, when all that it has started is dead.

        Args:
            arguments: what is run, and its arguments; no shell looks at them.
            timeout_s: in seconds; 0: no limit but the caller's.
            cwd: where it runs; the workspace by default.
            environment: variables besides those that all get.
            output_bytes: kept of stdout and of stderr; the configuration's by default.
            temporary: its temporary directory; by default one that is removed at its end.
            keeps_stdin: its stdin stays open while it may run, and empty; by default it is at its end.

        Raises:
            ToolFailed: it cannot be started.
        """
        async with contextlib.AsyncExitStack() as stack:
            if temporary is None:
                temporary = await stack.enter_async_context(self.directory())
            known = environment_of(self._environ, passed=self._passed, temporary=temporary)
            clips = (
                Clip(output_bytes or self._limits.output_bytes),
                Clip(output_bytes or self._limits.output_bytes),
            )
            process = self._start(
                arguments,
                cwd=cwd or self._own_workspace(),
                environment={**known, **(environment or {})},
                clips=clips,
                keeps_stdin=keeps_stdin,
            )
            try:
                self._let_go(process)
                cause = await process.wait(timeout_s)
                if cause == "exited":
                    await process.drained(_LAST_WORDS_S)
            finally:
                await self._end_whatever_comes(process)
            return Ended(cause, process.code, *clips)

    def _own_workspace(self) -> Path:
        try:
            self.workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ToolFailed(
                f"Error: the workspace {self.workspace} cannot be used: {error.strerror}."
            ) from None
        return self.workspace

    def _start(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        clips: tuple[Clip, Clip],
        keeps_stdin: bool,
    ) -> Process:
        try:
            process = Process(
                f"{self._guard.mark}.{next(self._numbers)}.",
                arguments,
                cwd=cwd,
                environment=environment,
                limits=self._limits,
                clips=clips,
                keeps_stdin=keeps_stdin,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ToolFailed(f"Error: {arguments[0]} cannot be started in {cwd}: {reason}.") from None
        self._running.add(process)
        if len(self._running) == 1:
            self._look_in(_LOOK_S)
        return process

    def _let_go(self, process: Process) -> None:
        try:
            self._tell_guard()
        except OSError as error:
            raise ToolFailed(f"Error: no program can be started: {error.strerror}.") from None
        process.go()

    def _tell_guard(self) -> None:
        groups = {-process.pid for process in self._running}
        self._guard.tell(groups.union(*(process.seen for process in self._running)))

    # Its end

    async def _end_whatever_comes(self, process: Process) -> None:
        """A turn that is stopped ends it, a session that exits meanwhile ends it at once."""
        ending = asyncio.ensure_future(self._end(process))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            process.hurry.set()
            await asyncio.wait({ending})
            raise

    async def _end(self, process: Process) -> None:
        try:
            if not process.exited.done() and not process.hurry.is_set():
                process.signal_group(signal.SIGTERM)
                process.signal_group(signal.SIGCONT)
                await process.exited_within(_TERMINATE_S)
            await self._kill(process)
            await process.drained(_LAST_WORDS_S)
        finally:
            process.close()
            self._running.discard(process)
            with contextlib.suppress(OSError):
                self._tell_guard()
            if not self._running:
                self._look_in(_GUARD_STAYS_S)

    async def _kill(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        deadline, nap_s = loop.time() + _KILL_S, _FIRST_NAP_S
        while True:
            # Its leader is not reaped yet, so the number of its group is nobody else's.
            process.signal_group(signal.SIGKILL)
            left = end_strangers(self._owned(besides=process))
            if process.exited.done() and not left:
                return
            if loop.time() > deadline:
                logger.critical("processes of a tool cannot be killed: %s", sorted(left | {process.pid}))
                return
            await asyncio.sleep(nap_s)
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)

    def _owned(self, *, besides: Process | None = None) -> set[int]:
        """Children of this process that are ended by others: actors, programs, and what other programs have left."""
        owned = {*self._spare(), *self._guard.pids, *(process.pid for process in self._running)}
        others = [process.mark for process in self._running if process is not besides]
        if others:
            strangers = children_of(os.getpid()) - owned
            owned |= {pid for pid in strangers if any(has_mark(pid, mark) for mark in others)}
        return owned

    # While it runs

    def _look(self) -> None:
        """Holds each program to the limits that the kernel does not know of."""
        self._clock = None
        if not self._running:
            self.end_guard()
            return
        owned = {*self._spare(), *self._guard.pids, *(process.pid for process in self._running)}
        strangers = children_of(os.getpid()) - owned
        for process in self._running:
            alone = len(self._running) == 1
            its_own = {pid for pid in strangers if alone or has_mark(pid, process.mark)}
            self._look_at(process, its_own)
        _reap(strangers)
        with contextlib.suppress(OSError):  # it cannot be replaced now; the next look tries again
            self._tell_guard()
        self._look_in(_LOOK_S)

    def _look_in(self, delay_s: float) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = asyncio.get_running_loop().call_later(delay_s, self._look)

    def _look_at(self, process: Process, strangers: set[int]) -> None:
        limits = self._limits
        most = limits.processes or None
        found = {process.pid} | strangers | descendants(process.pid, most=most)
        for pid in strangers:
            if most is None or len(found) <= most:
                found |= descendants(pid, most=most)
        process.seen = found
        if most and len(found) > most:
            process.break_off("processes")
        elif limits.memory_mb and sum(map(private_bytes, found)) > limits.memory_mb * _MEGABYTE:
            process.break_off("memory")


def _reap(strangers: set[int]) -> None:
    for pid in strangers:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
