"""Owns the process of `start`: it builds the actor system, builds it again when its root has died, and ends it.

It has one thread, always, because it forks. It reads no messages but answers, runs no handler of users' data, and
allocates little: what can go wrong here must be small, for nobody restarts it.
"""

from __future__ import annotations

__all__ = ["Root", "check_open_files", "exit_code_of_signal"]

import asyncio
import errno
import functools
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from openclaw_actors import __version__
from openclaw_actors.actors.answering import until_both_answer
from openclaw_actors.actors.board import install
from openclaw_actors.actors.restart_limits import restart_limits
from openclaw_actors.actors.root_boot import Boot, BootFailed, BootPlan, Interrupted, unless
from openclaw_actors.actors.root_settings import RootSettings
from openclaw_actors.actors.rundir import (
    RunRecord,
    StateLock,
    clean_stale_boots,
    process_start_ticks,
    remove_record,
    write_record,
)
from openclaw_actors.actors.service_manager import ServiceManager
from openclaw_actors.actors.succession import (
    SIGNAL,
    Successor,
    forget_successor,
    is_needed_again,
    name_successor,
    read_successor,
    tell_failed,
)
from openclaw_actors.actorsystem import become_subreaper, raise_open_files_limit
from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.rules import FILES_FOR_ITSELF, FILES_PER_SESSION, files_needed
from openclaw_actors.core.supervision import RestartPolicy
from openclaw_actors.errors import AlreadyRunning, OpenClawError, StateDirError
from openclaw_actors.messages import Ready
from openclaw_actors.store.undo import confirm

logger = logging.getLogger(__name__)

MARGIN_S = 25.0
"""Beyond the grace period, for channels to close, the store to be flushed and the processes to end: what the
supervisor allows for services that do not answer. A drain in which all answer takes a fraction of a second."""

ANSWER_WITHIN_S = 10.0
"""For so long after `Ready` a channel may take until it answers its first request."""

RECORD_AGAIN_S = 2.0
"""After which a record that a full disk did not take is tried again."""

LOCK_AGAIN_S = 10.0
"""So long a lock may stay taken after its owner has let go of it or has died: its children die after it."""

_LOCK_POLL_S = 0.01

T = TypeVar("T")


def exit_code_of_signal(number: int) -> int:
    """What a shell shows of a process that a signal has ended."""
    return 128 + number


def check_open_files(config: GatewayConfig) -> None:
    """Raise the limit of open files, and refuse what would not fit into it.

    Raises:
        StateDirError: the limit is too low for the configured number of sessions.
    """
    limit = raise_open_files_limit()
    needed = files_needed(config)
    if limit < needed:
        fits = max(0, (limit - FILES_FOR_ITSELF) // FILES_PER_SESSION)
        raise StateDirError(
            f"sessions.max_live = {config.sessions.max_live} needs {needed} open files, but the limit is {limit}; "
            f"raise it (ulimit -n) or set sessions.max_live to at most {fits}"
        )


class _Stopped(Exception):
    """Raised inside `Root` when a signal came while it waited for something else."""


class Root:
    """Runs the gateway until it is told to end.

    Args:
        plan: what the system is made from.
        say: tells the person who started it, a line at a time.
        ready: is called once, with the addresses of the WebSocket and the HTTP channel, when both answer.
        manager: is told of every beginning and end, and that this process lives.
        old: the `start` that has to make room first.
        old_grace_s: for its running turns, in seconds.
    """

    def __init__(
        self,
        plan: BootPlan,
        *,
        say: Callable[[str], None],
        ready: Callable[[str, str], None],
        manager: ServiceManager,
        old: RunRecord | None = None,
        old_grace_s: float = 0.0,
    ) -> None:
        self._settings = RootSettings(plan, self._other_settings)
        self._manager = manager
        self._say = say
        self._tell_ready = ready
        self._lock = StateLock(plan.run)
        self._stop = asyncio.Event()
        self._boot: Boot | None = None
        self._was_ready = False
        self._addresses: dict[str, str] = {}
        self._record_again: asyncio.TimerHandle | None = None
        self._had_terminal = _has_terminal()
        self._reload_wanted = asyncio.Event()
        self._policy = RestartPolicy(restart_limits(plan.config))
        self._old, self._old_grace_s = old, old_grace_s
        self._us: Successor | None = None
        """What we are for `old`, until we are ready."""
        self._successor: Successor | None = None
        self._gives_up = False
        """A person has interrupted the take-over."""

    @property
    def _plan(self) -> BootPlan:
        return self._settings.plan

    def _other_settings(self, ws: str, http: str) -> None:
        """A reload has put another configuration in force."""
        self._policy.use(restart_limits(self._plan.config))
        known, self._addresses = self._addresses, {"ws": ws, "http": http}
        if self._boot is not None:
            self._record(self._boot, "ready")
        if known != self._addresses:
            s = "s" if self._plan.config.tls.on else ""
            self._say(f"ws=ws{s}://{ws}/ws http=http{s}://{http}")

    async def run(self) -> int:
        """Run it; returns the exit code.

        Raises:
            AlreadyRunning: another `start` owns the state directory.
            StateDirError: the run directory cannot be used.
            BootFailed: it did not get ready at the first try.
            OpenClawError: it was interrupted while it took over; the old one serves again.
        """
        self._listen_to_signals()
        if self._old is None:
            self._lock.acquire()
        install()  # before the first fork: what is counted survives all that is forked
        become_subreaper()
        self._show_life()
        try:
            if self._old is not None:
                await self._make_room(self._old)
            await self._live_on()
            while self._successor is not None and await self._is_needed_again(self._successor):
                await self._live_on()
        except _Stopped:
            if self._gives_up:
                raise OpenClawError("interrupted before it was ready") from None
            self._succeeded()  # we were told to end, and so nobody is to serve again in our place
        finally:
            self._forget_record()
            self._lock.release()
            if self._us is not None:
                tell_failed(self._plan.run, self._us)
        return 0

    async def _live_on(self) -> None:
        try:
            clean_stale_boots(self._plan.run)
            await self._live()
        except _Stopped:
            if self._successor is None:
                raise  # before anything was ready: there is nothing to drain

    # Succession

    async def _make_room(self, old: RunRecord) -> None:
        """Have the old one drain, and take the lock the moment it is free."""
        self._us = name_successor(
            self._plan.run,
            old,
            version=__version__,
            grace_s=self._old_grace_s,
            within_s=self._plan.init_timeout_s + ANSWER_WITHIN_S + MARGIN_S,
        )
        await self._lock_within(self._old_grace_s + 2 * MARGIN_S)

    async def _lock_within(self, limit_s: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while not self._lock.held:
            try:
                self._lock.acquire()
            except AlreadyRunning:
                if loop.time() > end:
                    raise
                await self._or_stopped(asyncio.sleep(_LOCK_POLL_S))

    def _succeeded(self) -> None:
        """The old one is not needed any more."""
        if self._us is not None:
            forget_successor(self._plan.run)
            self._us = None

    def _make_way(self) -> None:
        """Another `start` takes over: drain, then let it."""
        successor = read_successor(self._plan.run)
        if successor is None or not successor.lives or successor.failed:
            logger.warning("%s is ignored: nobody is there to take over", SIGNAL.name)
        elif not self._stop.is_set():
            logger.info("pid %d (%s) takes over", successor.pid, successor.version)
            self._successor = successor
            self._stop.set()

    async def _is_needed_again(self, successor: Successor) -> bool:
        """Let the successor have everything, and see whether it manages; if not, be as at the start."""
        self._stop.clear()
        self._forget_record()
        self._lock.release()
        self._say(f"pid {successor.pid} ({successor.version}) takes over")
        if not await self._or_stopped(is_needed_again(self._plan.run, successor)):
            self._say("this process is not needed any more and ends")
            return False
        self._successor = None
        await self._lock_within(LOCK_AGAIN_S)
        forget_successor(self._plan.run)
        self._was_ready = False  # what cannot be started now is told and ends
        self._say("it did not get ready; this process serves again")
        logger.error("pid %d (%s) did not get ready", successor.pid, successor.version)
        return True

    def _show_life(self) -> None:
        if self._manager.sign_every_s:
            self._manager.alive()
            asyncio.get_running_loop().call_later(self._manager.sign_every_s, self._show_life)

    # Signals

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_signal_handler(SIGNAL, self._make_way)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it on purpose
            loop.add_signal_handler(signal.SIGHUP, self._hung_up)

    def _hung_up(self) -> None:
        """A service manager wants a reload; a terminal that is gone wants the end."""
        if self._had_terminal and not _has_terminal():
            self._signalled(signal.SIGHUP)
        else:
            self._reload_wanted.set()

    async def _reload_when_wanted(self, boot: Boot) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            for line in await self._settings.reload(boot):
                self._say(line)

    def _signalled(self, number: signal.Signals) -> None:
        if not self._stop.is_set() or self._successor is not None:
            logger.info("%s: the gateway ends", number.name)
            self._successor = None  # whoever takes over finds it ended, and nobody serves again
            self._gives_up = number == signal.SIGINT and self._us is not None
            self._stop.set()
            return
        if self._boot is not None:
            self._boot.end_at_once()
        self._forget_record()
        self._lock.release()
        if not self._gives_up:
            self._succeeded()
        os._exit(exit_code_of_signal(number))

    async def _or_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something unless, or until, a signal comes. Raises _Stopped."""
        try:
            return await unless(self._stop, work)
        except Interrupted:
            raise _Stopped from None

    # Lives

    async def _live(self) -> None:
        """Build the system, again and again, until it is told to end."""
        incarnation = 0
        while True:
            incarnation += 1
            try:
                self._lock.keep()
                reason = await self._one_life(incarnation)
            except AlreadyRunning:
                raise
            except (OpenClawError, OSError) as failed:
                if not self._was_ready and not (isinstance(failed, BootFailed) and not failed.final):
                    raise
                reason = str(failed)
            if not reason:
                return
            restart = self._policy.died(asyncio.get_running_loop().time())
            if not self._was_ready and restart.failed:
                raise BootFailed(f"{reason}, again and again; the log says why", final=True)
            logger.error("%s: the gateway is built anew, after %.1f s", reason, restart.delay_s)
            self._manager.status(f"built anew: {reason}")
            await self._or_stopped(asyncio.sleep(restart.delay_s))

    async def _one_life(self, incarnation: int) -> str:
        """Live once; returns why it must be built anew, or "" when it was told to end."""
        boot = self._boot = Boot(self._plan, incarnation)
        in_order = False
        try:
            try:
                reason = await self._from_start_to_end(boot)
            except BootFailed:
                if not boot.end_was_ordered:
                    raise
                reason = ""
            in_order = boot.end_was_ordered
            return "" if in_order else reason
        finally:
            await boot.end(in_order=in_order)
            self._boot = None

    async def _from_start_to_end(self, boot: Boot) -> str:
        """Returns why it is over. Raises BootFailed where it did not get ready."""
        state = "restarting" if self._was_ready else "starting"
        self._record(boot, state)
        ready = await self._or_stopped(boot.start())
        self._addresses = ready.detail
        self._record(boot, state)
        answering = until_both_answer(ready, timeout_s=ANSWER_WITHIN_S, tls=self._plan.config.tls.on)
        silent = await self._or_stopped(boot.while_it_lives(answering))
        if silent and boot.end_was_ordered:  # its channels close while running turns may finish
            return await self._watch(boot)
        if silent:
            raise BootFailed(f"{silent} does not answer", final=True)
        self._is_ready(boot, ready)
        beside = [
            asyncio.create_task(self._settings.follow(boot)),
            asyncio.create_task(self._reload_when_wanted(boot)),
        ]
        try:
            return await self._watch(boot)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    def _is_ready(self, boot: Boot, ready: Ready) -> None:
        self._record(boot, "ready")
        self._succeeded()
        self._confirm_migration()
        self._keep_ports(ready)
        self._manager.ready(f"ready on {ready.detail.get('ws', '')} and {ready.detail.get('http', '')}")
        if self._was_ready:
            logger.warning("the gateway is ready again")
        else:
            self._was_ready = True
            self._settings.keep(self._plan.good)
            self._tell_ready(ready.detail.get("ws", ""), ready.detail.get("http", ""))

    def _confirm_migration(self) -> None:
        """The store need not be put back as it was. Until then it takes nothing, so this is tried until it is done."""
        if not self._lock.held:
            return  # another `start` has the store by now
        try:
            confirm(Path(self._plan.config.memory.storage_path).expanduser())
        except OSError as error:
            logger.error("the migration of the store cannot be confirmed: %s", _with_remedy(error))
            asyncio.get_running_loop().call_later(RECORD_AGAIN_S, self._confirm_migration)

    async def _watch(self, boot: Boot) -> str:
        """Returns why the boot's life is over, or "" after an end that was asked for by a signal."""
        try:
            return await self._or_stopped(boot.watch())
        except _Stopped:
            self._record(boot, "stopping")
            self._say("stopping: running turns may finish")
            successor = self._successor
            grace_s = self._plan.config.graceful_shutdown_seconds if successor is None else successor.grace_s
            self._manager.stopping(within_s=grace_s + MARGIN_S)
            if not await boot.shut_down(grace_s=grace_s, margin_s=MARGIN_S):
                logger.error("the actors do not end by themselves and are killed")
            return ""

    def _keep_ports(self, ready: Ready) -> None:
        """Have the next boot listen where clients know us, also where any free port was asked for."""
        listening = {"websocket": ready.detail.get("ws", ""), "http": ready.detail.get("http", "")}
        replace = msgspec.structs.replace
        plan = self._plan
        self._settings.plan = replace(plan, origin=replace(plan.origin, listening=listening))

    def _record(self, boot: Boot, state: str, *, again: bool = False) -> None:
        if self._record_again is not None:
            self._record_again.cancel()
            self._record_again = None
        record = RunRecord(
            boot=boot.id,
            pid=os.getpid(),
            started_ticks=process_start_ticks(os.getpid()) or 0,
            run_dir=str(boot.run_dir),
            state=state,
            supervisor=boot.supervisor_key,
            ws=self._addresses.get("ws", ""),  # those of the boot before, until there are new ones
            http=self._addresses.get("http", ""),
            certificate=self._plan.config.tls.certificate or "",
            version=__version__,
            managed=self._manager.present,
        )
        try:
            write_record(self._plan.run, record)
        except OSError as error:
            if not self._was_ready:
                raise StateDirError(f"cannot write in {self._plan.run}: {_with_remedy(error)}") from None
            # A full disk must not end a gateway that runs: commands do not find it until there is room again.
            if not again:
                logger.error("the record of the running gateway cannot be written: %s", _with_remedy(error))
            loop = asyncio.get_running_loop()
            self._record_again = loop.call_later(
                RECORD_AGAIN_S, functools.partial(self._record, boot, state, again=True)
            )

    def _forget_record(self) -> None:
        if self._record_again is not None:
            self._record_again.cancel()
        if self._lock.held:
            remove_record(self._plan.run)


def _with_remedy(error: OSError) -> str:
    """What the operating system says, and what to do."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            remedy = "make room on that disk (df -h, df -i), or choose another with --state-dir"
        case errno.EROFS:
            remedy = "mount that file system for writing, or choose another with --state-dir"
        case _:
            remedy = "see who owns it, or choose another with --state-dir"
    return f"{error.strerror}; {remedy}"


def _has_terminal() -> bool:
    """Whether this process belongs to a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
