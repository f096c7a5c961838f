"""Owns a session as tools see it, with programs that really run, for tests without a gateway."""

from __future__ import annotations

__all__ = ["Host"]

from typing import Any

import msgspec

from openclaw_actors.config import GatewayConfig
from openclaw_actors.messages import Message
from openclaw_actors.tools.programs import Programs


class Host:
    """A session with a configuration and programs."""

    session = "websocket:local:main"

    def __init__(self, programs: Programs, **config: Any) -> None:
        self.programs = programs
        tooling = {
            "allowed_read_roots": [str(programs.workspace)],
            "allowed_write_roots": [str(programs.workspace)],
            **config.pop("tooling", {}),
        }
        self.config = msgspec.convert({"tooling": tooling, **config}, GatewayConfig)

    async def ask_store(self, message: Message) -> Any:
        raise NotImplementedError
