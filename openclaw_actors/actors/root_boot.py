"""Owns one boot: one life of the actor system, from the fork of its admin to the end of its last process.

`root.py` starts one, watches it, and starts the next when it has died.
"""

from __future__ import annotations

__all__ = ["Boot", "BootFailed", "BootPlan", "Interrupted", "unless"]

import asyncio
import logging
import os
import secrets
import uuid
from collections.abc import Awaitable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from openclaw_actors.actors.rundir import is_stopping, make_boot_dir, remove_boot_dir
from openclaw_actors.actorsystem import AsyncActor, GatewaySystem, Limits, address_key, end_descendants
from openclaw_actors.actorsystem.process import open_pidfd
from openclaw_actors.config import GatewayConfig, encode
from openclaw_actors.config.lastgood import LastGood
from openclaw_actors.config.origin import Origin, encode_origin
from openclaw_actors.errors import ActorError, ActorGone, AskRefused, AskTimeout, OpenClawError, QueueFull
from openclaw_actors.messages import Directory, Init, InitFailed, Message, Ping, Ready, Shutdown

logger = logging.getLogger(__name__)

T = TypeVar("T")

LATE_S = 1.0
"""A tick of ours that is so much late forgives the others: this process itself did not run."""

EXIT_NOTICED_S = 2.0
ADMIN_ENDS_WITHIN_S = 2.0
_UNKILLABLE_RETRY_S = 1.0


class Interrupted(Exception):
    """Raised when something happened before the work was done."""


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, unless, or until, an event is set: then it is cancelled, and Interrupted raised."""
    task = asyncio.ensure_future(work)
    happened = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, happened}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Interrupted
    finally:
        for each in (task, happened):
            each.cancel()
        await asyncio.gather(task, happened, return_exceptions=True)


class BootFailed(OpenClawError):
    """Raised when the system did not get ready.

    Args:
        reason: one line for a person.
        final: it would fail again in the same way.
    """

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.final = final


class BootPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What every boot of one `start` is made from."""

    config: GatewayConfig
    secrets: Mapping[str, str]
    """Key path of a secret to a reference that any of our processes can resolve; no values."""
    run: Path
    supervisor: type[AsyncActor]
    origin: Origin = Origin()
    """Where the configuration comes from."""
    good: LastGood | None = None
    """What is kept for the next start once this one is ready; None: nothing new."""

    @property
    def init_timeout_s(self) -> float:
        """For so long the supervisor may start its services, one after the other at worst."""
        return 4 * self.config.actors.start_timeout_seconds + self.config.memory.lock_timeout_seconds


class Boot:
    """One life of the actor system.

    Args:
        plan: what it is made from.
        incarnation: number of the supervisor's life, rising by one with each boot.

    Raises:
        StateDirError: the directory for its sockets cannot be made.
    """

    def __init__(self, plan: BootPlan, incarnation: int) -> None:
        self.plan = plan
        self.incarnation = incarnation
        self.id = secrets.token_hex(5)
        self.run_dir = make_boot_dir(plan.run, self.id)
        actors = plan.config.actors
        limits = Limits(
            frame=actors.frame_max_bytes,
            peer_queue=actors.queue_max_bytes,
            peer_queue_frames=actors.queue_max_messages,
        )
        self._system = GatewaySystem(self.run_dir, limits=limits)
        self._supervisor: object = None
        self._supervisor_pidfd = -1
        self._gone = asyncio.Event()
        self._watches: asyncio.Task[None] | None = None

    @property
    def supervisor_key(self) -> str:
        """The supervisor's address, as other processes can use it; empty before there is one."""
        return address_key(self._supervisor) if self._supervisor is not None else ""

    @property
    def admin_pid(self) -> int | None:
        """The pid of the living admin."""
        return self._system.admin_pid

    @property
    def end_was_ordered(self) -> bool:
        """Whether the supervisor was told to end, by whomever."""
        return is_stopping(self.run_dir)

    async def start(self) -> Ready:
        """Fork the admin, create the supervisor, and wait until it is ready.

        Raises:
            BootFailed: it does not get ready.
        """
        self._system.start()
        self._watches = asyncio.create_task(self._watch_admin())
        plan = self.plan
        init = Init(
            name="supervisor",
            incarnation=self.incarnation,
            instance=uuid.uuid4().hex,
            settings=encode(plan.config),
            directory=Directory(generation=0, services={}),
            secrets=dict(plan.secrets),
            origin=encode_origin(plan.origin),
        )
        try:
            self._supervisor = await self._system.create(plan.supervisor)
            answer = await self._asked_to_start(init)
        except ActorGone:
            raise BootFailed("the supervisor died while it started", final=False) from None
        except AskTimeout:
            raise BootFailed(
                f"the actors are not ready within {plan.init_timeout_s:.0f} s", final=True
            ) from None
        except (AskRefused, RuntimeError) as error:
            raise BootFailed(f"the supervisor cannot be started: {error}", final=True) from None
        if isinstance(answer, InitFailed):
            raise BootFailed(answer.reason, final=True)
        assert isinstance(answer, Ready)
        self._watch_supervisor(answer.pid)
        return answer

    async def _asked_to_start(self, init: Init) -> Any:
        """Raises what an ask raises, and BootFailed where the supervisor hangs: services may take long, it may not."""
        asking = asyncio.ensure_future(self.ask(init, timeout_s=self.plan.init_timeout_s))
        try:
            while not (await asyncio.wait({asking}, timeout=self._ping_interval_s))[0]:
                if (problem := await self._ping()) and not asking.done():
                    raise BootFailed(f"{problem} while it started", final=False)
            return asking.result()
        finally:
            asking.cancel()

    @property
    def _ping_interval_s(self) -> float:
        return self.plan.config.supervision.ping_interval_seconds

    async def ask(self, message: Message, *, timeout_s: float) -> Any:
        """Ask the supervisor. Raises as `Endpoint.ask`."""
        return await self._system.endpoint.ask(self._supervisor, message, timeout_s=timeout_s)

    async def _watch_admin(self) -> None:
        await self._system.admin_exited.wait()
        self._gone.set()

    def _watch_supervisor(self, pid: int) -> None:
        try:
            self._supervisor_pidfd = open_pidfd(pid)
        except ProcessLookupError:
            self._gone.set()
            return
        asyncio.get_running_loop().add_reader(self._supervisor_pidfd, self._supervisor_ended)

    def _supervisor_ended(self) -> None:
        self._forget_pidfd()
        self._gone.set()

    def _forget_pidfd(self) -> None:
        if self._supervisor_pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._supervisor_pidfd)
            os.close(self._supervisor_pidfd)
            self._supervisor_pidfd = -1

    async def while_it_lives(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns. Raises BootFailed where supervisor or admin ended before it did."""
        try:
            return await unless(self._gone, work)
        except Interrupted:
            raise BootFailed(self._who_ended(), final=False) from None

    async def watch(self) -> str:
        """Wait until it cannot go on: supervisor or admin has ended or does not answer; returns why."""
        while not await self._ended_within(self._ping_interval_s):
            if not self.run_dir.is_dir():
                return f"somebody removed {self.run_dir}, and no actor can be created without it"
            if problem := await self._ping():
                return problem
            self._reap()
        return self._who_ended()

    def _who_ended(self) -> str:
        return "the admin has ended" if self._system.admin_exited.is_set() else "the supervisor has ended"

    async def _ended_within(self, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    async def _ping(self) -> str:
        """Asks supervisor and admin for a sign of life; returns what is wrong with one of them."""
        endpoint, limit_s = self._system.endpoint, self.plan.config.supervision.ping_timeout_seconds
        answers = await asyncio.gather(
            self._is_alive("supervisor", endpoint.ask(self._supervisor, Ping(), timeout_s=limit_s), limit_s),
            self._is_alive("admin", self._system.ping_admin(timeout_s=limit_s), limit_s),
        )
        return next(filter(None, answers), "")

    async def _is_alive(self, name: str, asking: Awaitable[Any], limit_s: float) -> str:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            await asking
        except ActorGone:
            await self._ended_within(EXIT_NOTICED_S)
            return "" if self._gone.is_set() else f"the {name} is gone"
        except (AskTimeout, QueueFull):
            if loop.time() - asked_at > limit_s + LATE_S:
                return ""
            return f"the {name} did not answer for {limit_s:g} s"
        except AskRefused as error:
            return f"the {name} refuses to answer: {error}"
        return ""

    def _reap(self) -> None:
        """Reap what ended after its parent did: it fell to this process, which is the subreaper."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in (0, self.admin_pid):
                return
            os.waitpid(found.si_pid, os.WNOHANG)

    async def shut_down(self, *, grace_s: float, margin_s: float) -> bool:
        """Have the supervisor drain and end.

        Args:
            grace_s: for running turns.
            margin_s: beyond it, for everything else.

        Returns:
            Whether it ended by itself in time.
        """
        if self._supervisor is not None and not self._gone.is_set():
            timeout_s = self.plan.config.actors.ask_timeout_seconds
            try:
                await self._system.endpoint.ask(
                    self._supervisor, Shutdown(grace_s=grace_s), timeout_s=timeout_s
                )
            except ActorError as error:
                logger.warning("the supervisor was told to end, but: %s", type(error).__name__)
                return await self._ended_within(0.0)
        try:
            async with asyncio.timeout(grace_s + margin_s):
                await self.watch()
        except TimeoutError:
            return False
        return self._gone.is_set()

    async def end(self, *, in_order: bool) -> None:
        """End every process that is left, and remove the sockets; returns when nothing is left.

        Args:
            in_order: let the admin end by itself first; it has no children any more.
        """
        if self._watches is not None:
            self._watches.cancel()
        self._forget_pidfd()
        if in_order:
            await self._system.shutdown(timeout_s=ADMIN_ENDS_WITHIN_S)
        left = self._system.end()
        while left:
            logger.critical("processes that cannot be killed are waited for: %s", sorted(left))
            await asyncio.sleep(_UNKILLABLE_RETRY_S)
            left = end_descendants()
        remove_boot_dir(self.run_dir)

    def end_at_once(self) -> None:
        """Kill everything now, from within a signal handler."""
        end_descendants(timeout_s=2.0)
        remove_boot_dir(self.run_dir)
