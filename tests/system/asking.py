"""Decides how a test asks a running gateway: as a command does, but without the start of an interpreter for each."""

from __future__ import annotations

__all__ = ["ask", "ask_to_end"]

import asyncio
import threading
from pathlib import Path
from typing import Any

from openclaw_actors.actors.rundir import read_record
from openclaw_actors.cli.running import ask_supervisor, ask_when_ready
from openclaw_actors.errors import ActorError, StateDirError
from openclaw_actors.messages.admin import Shutdown
from openclaw_actors.messages.base import Message

TIMEOUT_S = 30.0


def ask(run: Path, message: Message) -> Any:
    """What the supervisor answers; waited for while it is just being restarted.

    Raises:
        OpenClawError: as `ask_when_ready`.
    """
    return _apart(ask_when_ready(run, message, timeout_s=TIMEOUT_S))


def ask_to_end(run: Path, grace_s: float | None) -> bool:
    """Ask the supervisor to drain and end everything, by default in the configured time; returns whether it heard."""
    record = read_record(run)
    if record is None:
        return False
    try:
        _apart(ask_supervisor(record, Shutdown(grace_s=grace_s), timeout_s=TIMEOUT_S))
    except (ActorError, StateDirError):
        return False
    return True


def _apart(work: Any) -> Any:
    """What a coroutine returns, which runs in a loop of its own: whoever asks may stand in one already."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
