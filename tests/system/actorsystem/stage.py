"""Decides how a test gets a running actor system, and that nothing of it is left behind."""

from __future__ import annotations

__all__ = ["eventually", "on_stage"]

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openclaw_actors.actorsystem import DEFAULT_LIMITS, GatewaySystem, Limits
from openclaw_actors.proctree import descendants
from tests.system.actorsystem.cast import Puppet

Play = Callable[[GatewaySystem, Any], Awaitable[Any]]


def on_stage(play: Play, *, limits: Limits = DEFAULT_LIMITS, timeout_s: float = 200.0) -> Any:
    """Run `play(system, puppet)` in a new actor system with one top-level puppet, and check that nothing is left."""
    directory = tempfile.mkdtemp(prefix="oca-")
    before = descendants()

    async def run() -> Any:
        async with (
            asyncio.timeout(timeout_s),
            GatewaySystem(Path(directory) / "run", limits=limits) as system,
        ):
            return await play(system, await system.create(Puppet))

    try:
        result = asyncio.run(run())
        assert descendants() <= before
        assert [each for each in os.listdir(Path(directory) / "run") if each[0] in "amx"] == []
        return result
    finally:
        shutil.rmtree(directory)


async def eventually(condition: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = 30.0) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + timeout_s
    while True:
        holds = condition()
        if not isinstance(holds, bool):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.01)
