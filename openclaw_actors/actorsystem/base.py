"""Owns the system base: what `thespian.actors.ActorSystem` works on in the process that starts a system.

    base = UnixSystemBase(run_dir="/run/user/1000/x", capabilities={})
    system = ActorSystem(systemBase=base, transientUnique=True)

The admin is a true child of this process and dies with it. Our own gateway uses `GatewaySystem` instead, which
is made of the same parts and fits into a running event loop.
"""

# ruff: noqa: N802 - the names and signatures are Thespian's
from __future__ import annotations

__all__ = ["UnixSystemBase", "prepare_run_dir", "remove_sockets"]

import os
import select
import stat
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from thespian.actors import ThespianGeneration
from thespian.system.systemBase import systemBase

from openclaw_actors.actorsystem.address import MAX_SOCKET_PATH, Address, address_key, run_dir_fits
from openclaw_actors.actorsystem.admin import run_admin
from openclaw_actors.actorsystem.children import Child, Children, Main
from openclaw_actors.actorsystem.limits import DEFAULT_LIMITS, Limits
from openclaw_actors.actorsystem.process import raise_open_files_limit
from openclaw_actors.actorsystem.transport import UnixTransport
from openclaw_actors.errors import StateDirError

_ADMIN_END_S = 2.0
"""How long an admin may take to exit after it has said that all is shut down."""


def prepare_run_dir(run_dir: str | os.PathLike[str]) -> str:
    """Create the directory of the sockets if needed, for this user only, and return its absolute path.

    Raises:
        StateDirError: the path is too long for a socket, another user's, or not a directory.
    """
    path = os.path.abspath(run_dir)
    if not run_dir_fits(path):
        raise StateDirError(f"{path} is too long: sockets in it would exceed {MAX_SOCKET_PATH} bytes")
    try:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.stat(path)
        if found.st_uid != os.geteuid():
            raise StateDirError(f"{path} belongs to another user")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(path, 0o700)
    except OSError as error:
        raise StateDirError(f"{path}: {error.strerror}") from error
    return path


def remove_sockets(run_dir: str) -> None:
    """Remove all sockets of actors, admins and endpoints in `run_dir`, and nothing else."""
    for entry in os.scandir(run_dir):
        if entry.name[:1] in "amx" and stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
            os.unlink(entry.path)


def system_capabilities(capabilities: dict[str, Any]) -> dict[str, Any]:
    """Add what Thespian's multi-process bases tell of themselves (`multiprocCommon.py:84`)."""
    capabilities["Python Version"] = tuple(sys.version_info)
    capabilities["Thespian Generation"] = ThespianGeneration
    capabilities["Thespian Version"] = str(int(time.time() * 1000))
    capabilities["Thespian ActorSystem Name"] = "openclawUnixBase"
    capabilities["Thespian ActorSystem Version"] = 1
    capabilities["Thespian Watch Supported"] = True
    return capabilities


class UnixSystemBase(systemBase):
    """A Thespian system base over Unix sockets.

    Args:
        run_dir: the directory of the sockets.
        capabilities: of the system; also pass them to `ActorSystem` if it shall show them.
        limits: see `Limits`.

    Raises:
        StateDirError: `run_dir` cannot be used.
    """

    def __init__(
        self,
        *,
        run_dir: str | os.PathLike[str],
        capabilities: dict[str, Any] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        path = prepare_run_dir(run_dir)
        raise_open_files_limit()
        caps = system_capabilities({} if capabilities is None else capabilities)
        self.transport = UnixTransport(run_dir=path, admin=Address(""), limits=limits, is_external=True)
        self.children = Children(self.transport.loop, self._admin_ended)
        self.admin: Child | None = self.children.fork(
            path, Main(partial(run_admin, path, limits, caps)), kind="m", kept_alive=self
        )
        self.transport.admin = self.admin.address
        super().__init__(SimpleNamespace(capabilities=caps))

    def _startAdmin(self, *_args: Any) -> None:
        """The admin was forked by the constructor; a dead one is not replaced behind the caller's back."""

    def _admin_ended(self, child: Child, _status: int) -> None:
        self.admin = None
        self.transport.hub.peer_exited(address_key(child.address))
        self.transport.abort_run()  # nobody is left to answer what this process waits for

    def shutdown(self) -> None:
        """Shut the system down and wait for its end; what does not end in 10 s is killed. Leaves no socket."""
        try:
            super().shutdown()
        finally:
            self._end_admin()
            self.transport.close()  # Thespian leaves it open where the admin is dead already
            remove_sockets(self.transport.run_dir)

    def _end_admin(self) -> None:
        child = self.admin
        if child is None:
            return
        readable, _, _ = select.select([child.pidfd], [], [], _ADMIN_END_S)
        if not readable:
            self.children.kill(child)
        os.waitpid(child.pid, 0)
        self.children.close()
        self.admin = None
