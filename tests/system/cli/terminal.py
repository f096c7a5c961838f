"""Owns a program on a pseudo-terminal: what it shows, and the keys that are pressed."""

from __future__ import annotations

__all__ = ["CTRL_C", "CTRL_D", "ENTER", "UP", "Terminal"]

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

CTRL_C, CTRL_D, ENTER, UP = "\x03", "\x04", "\r", "\x1b[A"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|\x1b\][^\x07]*\x07|\r")


def _take_terminal() -> None:
    """Make the terminal on standard input the controlling one, so that its keys can be signals."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A program that believes to be talking to a person. Use as a context manager; the end kills it.

    Args:
        command: the program and its arguments.
        environment: of the program.
        directory: its working directory.
        kind: the value of TERM.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, *, kind: str = "xterm"
    ) -> None:
        self._master, slave = pty.openpty()
        self._modes_before = termios.tcgetattr(self._master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={**environment, "TERM": kind},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self._raw = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5.0)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                data = b""  # the program has closed its side
            with self._changed:
                self._raw += data
                self._changed.notify_all()
            if not data:
                return

    @property
    def shown(self) -> str:
        """All that was ever shown, without what moves the cursor."""
        return _ESCAPES.sub("", self._raw.decode(errors="replace"))

    @property
    def raw(self) -> bytes:
        """All that the program has written."""
        return self._raw

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal has the modes that it had when the program began: echo, lines, signals."""
        return termios.tcgetattr(self._master) == self._modes_before

    def press(self, keys: str | bytes) -> None:
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, *, lines: int, columns: int) -> None:
        """Give it another size; the kernel tells the program by SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def enter(self, line: str) -> None:
        """Type a line."""
        self.press(line + ENTER)

    def wait_for(self, text: str, *, after: int = 0, deadline_s: float = 30.0) -> int:
        """Wait until `text` was shown, from position `after` on; returns the position after it."""
        end = time.monotonic() + deadline_s
        with self._changed:
            while (found := self.shown.find(text, after)) < 0:
                left = end - time.monotonic()
                assert left > 0, f"{text!r} was not shown, but {self.shown[after:]!r}"
                self._changed.wait(left)
        return found + len(text)

    def wait(self, *, deadline_s: float = 30.0) -> int:
        """Wait for the program's end; returns its exit code."""
        return self.process.wait(deadline_s)
