"""Owns what a service manager is told: systemd's notification protocol, by datagrams to the socket that it names.

Nobody else may speak for the gateway: the variables leave the environment before the first fork.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

__all__ = ["ServiceManager"]

logger = logging.getLogger(__name__)

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_SIGNS_PER_LIMIT = 3
"""So many signs of life in the time after which the watchdog bites: one may come late."""


class ServiceManager:
    """The manager that started this process, or nobody.

    Args:
        path: of its socket; one that begins with `@` has no file; empty: there is no manager.
        watchdog_s: after so long without a sign of life it kills this process; 0: never.
    """

    def __init__(self, path: str = "", *, watchdog_s: float = 0.0) -> None:
        self._path = path
        self.sign_every_s = watchdog_s / _SIGNS_PER_LIMIT if path else 0.0
        """How often `alive` is to be called, in seconds; 0: not at all."""
        self._failed = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> ServiceManager:
        """Find out who started this process, and take it out of the environment."""
        path, limit, pid = (environ.pop(name, "") for name in _VARIABLES)
        if not path.startswith(("/", "@")):
            return cls()
        ours = pid in ("", str(os.getpid()))
        return cls(path, watchdog_s=int(limit) / 1e6 if ours and limit.isascii() and limit.isdigit() else 0.0)

    @property
    def present(self) -> bool:
        """Whether there is one."""
        return bool(self._path)

    def ready(self, status: str) -> None:
        """Everything answers."""
        self._tell(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """What it is doing, a line for people."""
        self._tell(f"STATUS={status}")

    def stopping(self, *, within_s: float) -> None:
        """It ends now, and may take this long, in seconds, whatever limit the manager has for it."""
        self._tell(f"STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={int(within_s * 1e6)}")

    def alive(self) -> None:
        """A sign of life."""
        self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._path:
            return
        address = f"\0{self._path[1:]}" if self._path.startswith("@") else self._path
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)  # a manager that does not read must not hold the gateway
                out.sendto(text.encode(errors="replace"), address)
        except OSError as error:
            if not self._failed:
                logger.warning("the service manager cannot be told of the gateway: %s", error.strerror)
            self._failed = True
        else:
            self._failed = False
