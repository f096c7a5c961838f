"""Owns the live screen of `status --watch`: the terminal's modes, its keys and size, and the asking of the gateway."""

from __future__ import annotations

__all__ = ["keys_of", "watch"]

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live

from openclaw_actors.cli.running import ask_when_ready
from openclaw_actors.cli.watch_view import Act, Leave, WatchView
from openclaw_actors.errors import ActorError, AskRefused, NotRunning
from openclaw_actors.messages.admin import Done, GetStatus, RestartActor, Status, StopActor

INTERVAL_S = 1.0
TIMEOUT_S = 10.0
ACT_TIMEOUT_S = 15.0
READ_BYTES = 1_024

_NO_KEY = b"\x00"
_KEYS = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
}
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)


def keys_of(data: str) -> list[str]:
    """The keys that were pressed, by name, or as the character that they write."""
    return [_KEYS.get(key, key) for key in _KEY.findall(data)]


def watch(run: Path, console: Console) -> None:
    """Show the gateway of a run directory until the person leaves.

    Raises:
        NotRunning: there is no gateway, or it has ended.
        KeyboardInterrupt: Ctrl-C, or the end from outside.
    """
    with _keys_at_once(sys.stdin.fileno()):
        asyncio.run(_Watch(run, console).run())


@contextlib.contextmanager
def _keys_at_once(terminal: int) -> Iterator[None]:
    """Keys come as they are pressed and are not shown; Ctrl-Z would leave the shell on our screen, so it is no key."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        modes = termios.tcgetattr(terminal)
        modes[6][termios.VSUSP] = _NO_KEY
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


class _Watch:
    def __init__(self, run: Path, console: Console) -> None:
        self._run = run
        self._console = console
        self._view = WatchView()
        self._left = asyncio.Event()
        self._acting: asyncio.Task[None] | None = None
        self._live = Live(console=console, screen=True, auto_refresh=False)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._pressed)
        loop.add_signal_handler(signal.SIGWINCH, self._show)
        loop.add_signal_handler(signal.SIGTERM, self._left.set)
        asking = asyncio.create_task(self._ask_again_and_again())
        leaving = asyncio.create_task(self._left.wait())
        try:
            with self._live:
                self._show()
                await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(sys.stdin.fileno())
            tasks = [task for task in (asking, leaving, self._acting) if task is not None]
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _ask_again_and_again(self) -> None:
        while True:
            try:
                status = await ask_when_ready(self._run, GetStatus(), timeout_s=TIMEOUT_S)
            except ActorError:
                self._view.lost("the gateway is restarting or does not answer; this is how it was")
            else:
                if isinstance(status, Status):
                    self._view.take(status, time.monotonic())
                else:
                    self._view.lost("the gateway does not answer with a status: is it another version?")
            self._show()
            await asyncio.sleep(INTERVAL_S)

    def _show(self) -> None:
        self._live.update(self._view.render(self._console.size.height), refresh=True)

    def _pressed(self) -> None:
        data = os.read(sys.stdin.fileno(), READ_BYTES)
        if not data:
            self._left.set()  # the terminal has gone
            return
        for key in keys_of(data.decode(errors="replace")):
            match self._view.press(key):
                case Leave():
                    self._left.set()
                    return
                case Act() as act:
                    self._begin(act)
        self._show()

    def _begin(self, act: Act) -> None:
        if self._acting is not None and not self._acting.done():
            self._view.said = "what was asked for before is not done yet"
            return
        self._view.said = f"{act.verb} {act.name} …"
        self._acting = asyncio.create_task(self._act(act))

    async def _act(self, act: Act) -> None:
        message = RestartActor(name=act.name) if act.verb == "restart" else StopActor(name=act.name)
        try:
            done = await ask_when_ready(self._run, message, timeout_s=ACT_TIMEOUT_S)
        except AskRefused as refused:
            self._view.said = refused.text or refused.code
        except (ActorError, NotRunning):
            self._view.said = f"whether {act.name} was told is not known: the gateway did not answer"
        else:
            self._view.said = done.text if isinstance(done, Done) else ""
        self._show()
