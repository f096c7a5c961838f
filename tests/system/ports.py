"""Owns the ports of the tests: no two tests of this machine get the same one within a short time."""

from __future__ import annotations

__all__ = ["free_port"]

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, BEYOND = 15_000, 32_000
"""Below those that the kernel gives to clients: such a one may be taken while whom it belongs to is being restarted."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and which nobody else is given soon."""
    counter = Path(tempfile.gettempdir()) / f"oca-ports-{os.getuid()}"
    with open(counter, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = int(file.read() or FIRST)
        for step in range(1, BEYOND - FIRST):
            port = FIRST + (last + step - FIRST) % (BEYOND - FIRST)
            if _is_free(port):
                file.truncate(0)
                file.write(str(port))
                return port
    raise AssertionError(f"no port from {FIRST} to {BEYOND} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
