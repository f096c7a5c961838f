"""Tests which tools wait for a person."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from openclaw_actors.config.features import ToolingConfig
from openclaw_actors.tools.base import Tool
from openclaw_actors.tools.policy import needs_approval


class Named:
    def __init__(self, name: str, *, dangerous: bool) -> None:
        self.name = name
        self.dangerous = dangerous


@pytest.mark.parametrize(
    ("tooling", "asked"),
    [
        ({}, []),
        ({"approval": "dangerous"}, ["shell", "write_file"]),
        ({"approval": "always"}, ["memory", "shell", "write_file"]),
        ({"require_tool_approval": True}, ["shell", "write_file"]),
        ({"require_tool_approval": True, "approval_required_tools": [" memory "]}, ["memory"]),
        ({"require_tool_approval": True, "approval_required_tools": ["file_write"]}, ["write_file"]),
        ({"require_tool_approval": False, "approval_required_tools": ["memory"]}, []),
    ],
)
def test_which_tools_wait(tooling: dict[str, Any], asked: list[str]) -> None:
    config = msgspec.convert(tooling, ToolingConfig)
    tools = [
        Named("memory", dangerous=False),
        Named("shell", dangerous=True),
        Named("write_file", dangerous=True),
    ]
    assert [tool.name for tool in tools if needs_approval(config, cast(Tool[Any], tool))] == asked
