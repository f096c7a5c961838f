"""Decides which tools wait for a person before they run."""

from __future__ import annotations

from typing import Any

from openclaw_actors.config.features import ToolingConfig
from openclaw_actors.tools.base import Tool

__all__ = ["needs_approval"]

_OLD_NAMES = {"file_write": "write_file"}
"""Names that lists of an older gateway may hold."""


def needs_approval(tooling: ToolingConfig, tool: Tool[Any]) -> bool:
    """Whether `tooling.approval`, or the list that `tooling.require_tool_approval` puts into force, names the tool."""
    if tooling.approval == "always" or (tooling.approval == "dangerous" and tool.dangerous):
        return True
    if not tooling.require_tool_approval:
        return False
    listed = (name.strip() for name in tooling.approval_required_tools)
    return any(_OLD_NAMES.get(name, name) == tool.name for name in listed)
