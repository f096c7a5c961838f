"""Owns the children of an actor process: forks them, knows their pids, reaps them at once.

A child's socket is bound before the fork, so its address is known and messages wait in the kernel while it
starts. Its end is seen by a pidfd in the parent's loop, in the order "what it sent, then its end".
"""

from __future__ import annotations

__all__ = ["Child", "Children", "Main"]

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from openclaw_actors.actorsystem.address import Address, socket_name
from openclaw_actors.actorsystem.hub import listen
from openclaw_actors.actorsystem.process import fork_process, open_pidfd
from openclaw_actors.proctree import end_strangers

logger = logging.getLogger(__name__)

_SWEEP_AGAIN_S = 0.002
_SWEEP_S = 5.0
"""For so long the end of a child is held back while something that it left cannot be killed."""


class Main(NamedTuple):
    """What a child does, and what it is for its parent; see `fork_process`."""

    run: Callable[[str, socket.SocketType], int]
    """Given the path of the child's socket, and the socket, which listens; returns the exit code."""
    new_session: bool = False
    bare: bool = False


class Child:
    """A child process: its pid, its address, and the descriptor that shows its end."""

    __slots__ = ("address", "pid", "pidfd")

    def __init__(self, pid: int, address: Address, pidfd: int) -> None:
        self.pid = pid
        self.address = address
        self.pidfd = pidfd


class Children:
    """The living children of one process.

    Args:
        loop: watches their ends.
        exited: called with a `Child` and its wait status, after it was reaped.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, exited: Callable[[Child, int], None]) -> None:
        self.sweeps = False
        """This process is a sub-reaper, all of whose children are forked here. What a child leaves behind falls to it,
        and is ended before the child's end is reported: its successor finds nothing of it."""
        self._loop = loop
        self._exited = exited
        self._by_key: dict[str, Child] = {}
        self._unwatched: list[Child] = []

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._by_key.values()))

    def find(self, key: str) -> Child | None:
        """Return the living child with this address key."""
        return self._by_key.get(key)

    def fork(
        self,
        run_dir: str,
        main: Main,
        *,
        kind: str = "a",
        kept_alive: Any = None,
    ) -> Child:
        """Fork a child that runs `main` and exits with its result.

        Raises:
            OSError: no process, descriptor or memory is left; nothing of the child remains.
        """
        path = f"{run_dir}/{socket_name(kind)}"
        listener = listen(path)
        try:
            pid = fork_process(
                main.run,
                (path, listener),
                keep=[listener.fileno()],
                new_session=main.new_session,
                kept_alive=(kept_alive, self._loop, self),
                bare=main.bare,
            )
            child = Child(pid, Address(path), self._open_pidfd(pid))
        except OSError:
            os.unlink(path)
            raise
        finally:
            listener.close()
        self._by_key[path] = child
        if not self._unwatched:
            self._loop.call_soon(self._watch)
        self._unwatched.append(child)
        return child

    def _watch(self) -> None:
        """Watch the newest children, all at once: what is written between two forks, the second child holds alone."""
        for child in self._unwatched:
            self._loop.add_reader(child.pidfd, self._ended, child)
        self._unwatched.clear()

    def _open_pidfd(self, pid: int) -> int:
        try:
            return open_pidfd(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)  # a child whose end cannot be seen must not live
            os.waitpid(pid, 0)
            raise

    def _ended(self, child: Child) -> None:
        try:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = child.pid, 0  # another part of this process reaped it: it has ended all the same
        if pid == 0:
            return
        self._loop.remove_reader(child.pidfd)
        os.close(child.pidfd)
        del self._by_key[str(child.address.addressDetails)]
        if self.sweeps:
            self._sweep(child, status, self._loop.time() + _SWEEP_S)
        else:
            self._exited(child, status)

    def _sweep(self, child: Child, status: int, deadline: float) -> None:
        left = end_strangers({each.pid for each in self})
        if left and self._loop.time() < deadline:
            self._loop.call_later(_SWEEP_AGAIN_S, self._sweep, child, status, deadline)
            return
        if left:
            logger.critical("processes that %d left cannot be killed: %s", child.pid, sorted(left))
        self._exited(child, status)

    def kill(self, child: Child) -> None:
        """Kill a child; its end is reported as usual."""
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Stop watching; ends are not reported any more."""
        self._unwatched.clear()
        for child in self._by_key.values():
            self._loop.remove_reader(child.pidfd)
            os.close(child.pidfd)
        self._by_key.clear()
