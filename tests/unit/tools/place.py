"""A session with a workspace of its own, for tests of tools that touch files."""

from __future__ import annotations

__all__ = ["Host", "Workplace"]

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from openclaw_actors.config import GatewayConfig
from openclaw_actors.tools.base import Tool, ToolFailed, ToolHost


class Host:
    """What a tool sees of its session."""

    session = "websocket:local:main"

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = msgspec.convert(config, GatewayConfig)


class Workplace:
    """A workspace, a directory beside it that nothing may reach, and what a tool says there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.workspace = directory / "state" / "workspace"
        self.outside = directory / "outside"
        self.outside.mkdir()
        (self.outside / "secret.txt").write_text("the secret")
        self.read_roots: list[str] = [str(self.workspace)]
        self.write_roots: list[str] = [str(self.workspace)]
        self.native: dict[str, Any] = {}

    def make(self) -> Path:
        """The workspace, made."""
        self.workspace.mkdir(parents=True, exist_ok=True)
        return self.workspace

    def host(self) -> ToolHost:
        state = self.directory / "state"
        config = {
            "state_dir": str(state),
            "workspace": str(self.workspace),
            "memory": {"storage_path": str(state / "memory")},
            "tooling": {"allowed_read_roots": self.read_roots, "allowed_write_roots": self.write_roots},
            "plugins": {"native": self.native},
        }
        return cast(ToolHost, Host(config))

    def call(self, tool: type[Tool[Any]], **arguments: object) -> str:
        """What the tool answers."""
        made = tool(self.host())
        return asyncio.run(made.run(msgspec.convert(arguments, made.arguments)))

    def refusal(self, tool: type[Tool[Any]], **arguments: object) -> ToolFailed:
        """What it fails with."""
        with pytest.raises(ToolFailed) as caught:
            self.call(tool, **arguments)
        return caught.value
