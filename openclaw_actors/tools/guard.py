"""Owns the guard of a session's programs: what ends them where no ancestor is left to do it.

When `start` is killed, the kernel kills all actors, from the top to the bottom; a program is no actor, and would live
on as a child of init. The guard sees its pipe close, and ends what the last line named and whatever carries the mark.
"""

from __future__ import annotations

__all__ = ["Guard"]

import os
import secrets
import subprocess
from collections.abc import Collection

from openclaw_actors.tools.launch import MARK

_MOST_PIDS = 400
"""In one line: it stays below PIPE_BUF, so it is written whole or not at all."""

_SCRIPT = r"""
trap '' HUP INT TERM USR1 USR2
targets=
while read -r line; do targets=$line; done
[ -n "$targets" ] || exit 0
kill -KILL $targets
tries=0
while [ $tries -lt 100 ]; do
  found=
  for path in $(grep -lsF "$1" /proc/[0-9]*/environ); do
    pid=${path#/proc/}
    found="$found ${pid%/environ}"
  done
  [ -n "$found" ] || exit 0
  kill -KILL $found
  tries=$((tries + 1))
done
"""


class Guard:
    """A small process beside this one, while there are programs and a little longer.

    Args:
        path: the search path for `grep`.
    """

    def __init__(self, path: str) -> None:
        self.mark = secrets.token_hex(8)
        """How the value of `MARK` begins in the environment of each program of this process."""
        self.path = path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> set[int]:
        """Its own pid, if it runs."""
        return set() if self._process is None else {self._process.pid}

    def tell(self, targets: Collection[int]) -> None:
        """What has to be killed should this process die now; groups are negative. One that was killed is replaced.

        Raises:
            OSError: it cannot be started.
        """
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._process is None:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "openclaw-guard", f"{MARK}={self.mark}"],
                env={"PATH": self.path},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        assert self._process.stdin is not None
        line = " ".join(map(str, sorted(targets)[:_MOST_PIDS]))  # groups first
        try:
            self._process.stdin.write(f"{line}\n".encode())
        except (BlockingIOError, BrokenPipeError):
            return  # it is stopped, or was killed this moment: what reaps this process sweeps as well

    def end(self) -> None:
        """Nothing runs any more."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
