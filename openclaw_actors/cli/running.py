"""Decides how a command reaches the running gateway: through the sockets of its run directory, as the same user."""

from __future__ import annotations

__all__ = ["ask", "ask_for", "ask_supervisor", "ask_when_ready", "require_running"]

import asyncio
import os
import time
from pathlib import Path
from typing import Any, TypeVar

from openclaw_actors.actors.rundir import RunRecord, read_record
from openclaw_actors.cli.common import Invocation
from openclaw_actors.errors import ActorGone, NotRunning, OpenClawError, StateDirError
from openclaw_actors.messages.base import Message

ASK_TIMEOUT_S = 5.0
READY_TIMEOUT_S = 10.0
"""For so long a command waits for a gateway that is just starting or restarting."""

_POLL_S = 0.05

T = TypeVar("T")


def require_running(run: Path) -> RunRecord:
    """What runs on a run directory. Raises NotRunning."""
    record = read_record(run)
    if record is None:
        raise NotRunning(str(run.parent) if run.name == "run" else str(run))
    return record


async def ask_supervisor(record: RunRecord, message: Message, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
    """Ask the supervisor that a record names.

    Raises:
        ActorGone: there is none, or it ended.
        AskTimeout, AskRefused: as `Endpoint.ask`.
    """
    from openclaw_actors.actorsystem import Endpoint

    if not record.supervisor:
        raise ActorGone("supervisor")
    try:
        async with Endpoint(record.run_dir) as endpoint:
            return await endpoint.ask(record.supervisor, message, timeout_s=timeout_s)
    except StateDirError:
        if os.path.isdir(record.run_dir):  # noqa: ASYNC240 - the loop has nothing else to do
            raise
        raise ActorGone("supervisor") from None  # that boot has just ended, with its directory


async def ask_when_ready(run: Path, message: Message, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
    """Ask the supervisor; wait while there is none for the moment.

    Raises:
        NotRunning: no gateway runs.
        ActorGone: it has no supervisor and gets none in time.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        record = require_running(run)
        try:
            return await ask_supervisor(record, message, timeout_s=timeout_s)
        except ActorGone:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_POLL_S)


async def ask_for(run: Path, message: Message, answer: type[T], *, timeout_s: float = ASK_TIMEOUT_S) -> T:
    """Ask the supervisor as `ask_when_ready` does, and return its answer, which must be of the type `answer`.

    Raises:
        OpenClawError: it is of another, or the gateway cannot be asked.
    """
    reply = await ask_when_ready(run, message, timeout_s=timeout_s)
    if not isinstance(reply, answer):
        raise OpenClawError(f"the gateway answered with {type(reply).__name__}: is it another version?")
    return reply


def ask(invocation: Invocation, message: Message, answer: type[T], *, timeout_s: float = ASK_TIMEOUT_S) -> T:
    """Ask the running gateway's supervisor and return its answer, which must be of the type `answer`."""
    from openclaw_actors.cli.progress import Spinner

    with Spinner("the gateway is at work"):
        return asyncio.run(ask_for(invocation.paths().run, message, answer, timeout_s=timeout_s))
