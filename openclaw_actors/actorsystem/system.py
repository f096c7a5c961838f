"""Owns a running actor system on behalf of `start`: its admin, its top-level actors, and its complete end.

    async with GatewaySystem(run_dir) as system:
        supervisor = await system.create(SupervisorActor)
        await system.endpoint.ask(supervisor, Init(...), timeout_s=10.0)
        await system.admin_exited.wait()      # everything below is dead: build a new system

Everything happens in the caller's event loop, on its main thread. The admin is a true child of this process, so the
kernel ends the whole system when this process dies.
"""

from __future__ import annotations

__all__ = ["GatewaySystem"]

import asyncio
import logging
import os
import threading
from functools import partial
from types import TracebackType
from typing import Any

from thespian.actors import Actor
from thespian.system.messages.admin import PendingActor, PendingActorResponse, SystemShutdown

from openclaw_actors.actorsystem.address import Address, address_key
from openclaw_actors.actorsystem.admin import run_admin
from openclaw_actors.actorsystem.base import prepare_run_dir, remove_sockets, system_capabilities
from openclaw_actors.actorsystem.children import Child, Children, Main
from openclaw_actors.actorsystem.endpoint import Endpoint
from openclaw_actors.actorsystem.limits import DEFAULT_LIMITS, Limits
from openclaw_actors.actorsystem.process import become_subreaper, end_descendants, raise_open_files_limit
from openclaw_actors.errors import ActorGone, AskTimeout, QueueFull

logger = logging.getLogger(__name__)


class GatewaySystem:
    """One life of an actor system.

    Args:
        run_dir: the directory of its sockets. A new system gets a new directory, or one from which the sockets of the
            old are removed (`clear`).
        limits: see `Limits`.
        capabilities: Thespian's, for actors that require some.

    Raises:
        StateDirError: `run_dir` cannot be used.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        *,
        limits: Limits = DEFAULT_LIMITS,
        capabilities: dict[str, Any] | None = None,
    ) -> None:
        self.run_dir = prepare_run_dir(run_dir)
        self.limits = limits
        self.endpoint = Endpoint(self.run_dir, limits=limits)
        self.admin_exited = asyncio.Event()
        """Set when the admin has died, by whatever cause. The kernel has killed all actors by then or is about to."""
        self._capabilities = system_capabilities(dict(capabilities or {}))
        self._admin: Child | None = None
        self._children: Children | None = None
        self._created = 0
        self._creating = asyncio.Lock()

    @property
    def admin_pid(self) -> int | None:
        """The pid of the living admin."""
        return None if self._admin is None else self._admin.pid

    async def __aenter__(self) -> GatewaySystem:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def start(self) -> None:
        """Fork the admin. Call it on the main thread, with no other thread, within the running loop."""
        assert threading.current_thread() is threading.main_thread()
        raise_open_files_limit()
        become_subreaper()
        loop = asyncio.get_running_loop()
        self._children = Children(loop, self._admin_ended)
        self._admin = self._children.fork(
            self.run_dir,
            Main(partial(run_admin, self.run_dir, self.limits, self._capabilities)),
            kind="m",
            kept_alive=self,
        )
        self.endpoint.open()

    def _admin_ended(self, child: Child, status: int) -> None:
        logger.info("the admin has ended (wait status %d)", status)
        self._admin = None
        self.admin_exited.set()
        self.endpoint.peer_exited(address_key(child.address))

    async def create(self, actor_class: type[Actor], *, timeout_s: float = 10.0) -> Address:
        """Create a top-level actor and return its address.

        Raises:
            ActorGone: there is no living admin.
            AskTimeout: the admin did not answer in time.
            RuntimeError: the admin could not create the actor; its log says why.
        """
        async with self._creating:
            if self._admin is None:
                raise ActorGone("admin")
            self._created += 1
            name = f"{actor_class.__module__}.{actor_class.__qualname__}"
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await self._request(
                        self._admin.address, PendingActor(name, None, self._created, None, None)
                    )
            except TimeoutError:
                raise AskTimeout("admin", timeout_s) from None
        if answer.errorCode:
            raise RuntimeError(f"{name} cannot be created: {answer.errorStr or hex(answer.errorCode)}")
        address: Address = answer.actualAddress
        return address

    async def _request(self, admin: Address, request: PendingActor) -> PendingActorResponse:
        answers: asyncio.Queue[tuple[Any, Address]] = asyncio.Queue(maxsize=16)
        self.endpoint.subscribe(answers)
        ended = asyncio.ensure_future(self.admin_exited.wait())
        try:
            self.endpoint.send(admin, request)
            while True:
                next_answer = asyncio.ensure_future(answers.get())
                try:
                    await asyncio.wait((next_answer, ended), return_when=asyncio.FIRST_COMPLETED)
                    if not next_answer.done():
                        raise ActorGone("admin")
                    answer, _ = next_answer.result()
                finally:
                    next_answer.cancel()
                if isinstance(answer, PendingActorResponse) and answer.instanceNum == request.instanceNum:
                    return answer
        finally:
            ended.cancel()
            self.endpoint.unsubscribe()

    async def ping_admin(self, *, timeout_s: float) -> None:
        """Ask the admin for a sign of life.

        Raises:
            ActorGone: there is no living admin.
            AskTimeout: it did not answer in time.
        """
        if self._admin is None:
            raise ActorGone("admin")
        await self.endpoint.ask(self._admin.address, "ping", timeout_s=timeout_s)

    async def shutdown(self, *, timeout_s: float = 10.0) -> None:
        """End everything: in order within `timeout_s` seconds, then by SIGKILL. Leaves no process and no socket."""
        if self._admin is not None:
            try:
                self.endpoint.send(self._admin.address, SystemShutdown())
                async with asyncio.timeout(timeout_s):
                    await self.admin_exited.wait()
            except (TimeoutError, QueueFull):
                logger.warning("the actors did not end within %.0f s and are killed", timeout_s)
            finally:
                self.end()
        else:
            self.end()

    def end(self) -> set[int]:
        """Kill and reap what is left below this process, at once, and remove the sockets.

        Returns:
            The pids that could not be ended; empty if all went well.
        """
        self.endpoint.close()
        if self._children is not None:
            self._children.close()
        left = end_descendants()
        self._admin = None
        self.admin_exited.set()
        self.clear()
        return left

    def clear(self) -> None:
        """Remove all sockets of the run directory."""
        remove_sockets(self.run_dir)
