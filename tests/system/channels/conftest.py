"""Decides how a test gets the real channel processes with a stand-in behind them."""

from __future__ import annotations

__all__ = ["start_channel"]

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.actors import board
from openclaw_actors.actorsystem import GatewaySystem
from openclaw_actors.messages import Ready
from tests.system.channels.harness import Channel, ChannelFactory


@pytest.fixture
def start_channel() -> ChannelFactory:
    """Start the real channel process: `async with start_channel(websocket={...}) as channel`."""

    @asynccontextmanager
    async def start(
        name: str = "websocket", *, secrets: dict[str, str] | None = None, **settings: Any
    ) -> AsyncIterator[Channel]:
        root = Path(tempfile.mkdtemp(prefix="oca-"))
        try:
            board.install()  # before the fork: the channel counts where the test can see it
            async with GatewaySystem(root / "run") as system:
                channel = Channel(system, name, settings, secrets or {})
                answer = await channel.start()
                assert isinstance(answer, Ready), answer
                yield channel
        finally:
            shutil.rmtree(root, ignore_errors=True)

    return start
