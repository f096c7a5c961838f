"""Owns the way to a file: walked directory by directory on descriptors, so that what is checked is what is opened.

Every step opens one name in a directory that is open already, and follows no link by itself. A link's text is walked
like the rest of the path, also that of the kernel's links below /proc, which otherwise lead anywhere. So there is no
moment at which somebody could put another directory in the place of one that was looked at. `openat2` would do the same
in one call, but knows one root only, and is closed off in many containers.
"""

from __future__ import annotations

__all__ = ["Step", "Walk"]

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_MAX_LINKS = 40
"""As the kernel's own limit."""
_MAX_STEPS = 4_096
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Step:
    """One directory or file on the way, open without any right to read or write it."""

    name: str
    fd: int
    found: os.stat_result

    @property
    def identity(self) -> tuple[int, int]:
        """What tells it from every other file, whatever its path is called."""
        return self.found.st_dev, self.found.st_ino

    def mount(self) -> int:
        """Which mount it is on; a bind mount of the same file system is another one."""
        with open(f"/proc/self/fdinfo/{self.fd}", encoding="ascii") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name == "mnt_id":
                    return int(value)
        raise OSError(errno.ENOSYS, "the kernel does not tell mounts apart")

    def open(self, flags: int) -> int:
        """Open this very file, whatever stands at its path meanwhile; returns a descriptor of its own."""
        return os.open(f"/proc/self/fd/{self.fd}", flags | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)


class Walk:
    """A path, walked as far as it exists. A context manager that closes its descriptors.

    Args:
        path: absolute, with neither `.` nor `..` in it.
    """

    def __init__(self, path: str) -> None:
        self.steps: list[Step] = []
        """From the root of the file system to what the path leads to, or to the last directory that exists."""
        self.missing: list[str] = []
        """The rest of the path, which does not exist."""
        self.error: OSError | None = None
        """Why the way ends, if not because something is missing."""
        try:
            self._push("/", os.open("/", _LOOK))
            self._go(path)
        except OSError as error:
            self.error = error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every step."""
        while self.steps:
            os.close(self.steps.pop().fd)

    @property
    def last(self) -> Step:
        """Where it ended."""
        return self.steps[-1]

    def _go(self, path: str) -> None:
        pending = _names(path)
        links = 0
        for _ in range(_MAX_STEPS):
            if not pending:
                return
            name = pending.pop()
            if name == "..":
                # Of a link's text: the directory above in this walk, whatever was moved meanwhile.
                if len(self.steps) > 1:
                    os.close(self.steps.pop().fd)
                continue
            try:
                fd = os.open(name, _LOOK, dir_fd=self.last.fd)
            except FileNotFoundError:
                self.missing = [name, *reversed(pending)]
                return
            found = os.fstat(fd)
            if not stat.S_ISLNK(found.st_mode):
                self.steps.append(Step(name, fd, found))
                continue
            try:
                target = os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
            links += 1
            if links > _MAX_LINKS:
                break
            if target.startswith("/"):
                while len(self.steps) > 1:
                    os.close(self.steps.pop().fd)
            pending.extend(_names(target))
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def _push(self, name: str, fd: int) -> None:
        self.steps.append(Step(name, fd, os.fstat(fd)))

    def make_missing(self, names: list[str]) -> None:
        """Make directories below the last step, and walk into each.

        Raises:
            OSError: one cannot be made, or something else stands there meanwhile.
        """
        for name in names:
            try:
                os.mkdir(name, dir_fd=self.last.fd)
            except FileExistsError:
                pass  # somebody else made it a moment ago; what it is, the next line finds out
            self._push(name, os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=self.last.fd))

    def identities(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Number and identity of each step, the last first."""
        for number in range(len(self.steps) - 1, -1, -1):
            yield number, self.steps[number].identity


def _names(path: str) -> list[str]:
    """The names of a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
