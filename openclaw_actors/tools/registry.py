"""Owns the list of tools, and which of them a session has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from openclaw_actors.messages import ToolSpec
from openclaw_actors.tools.base import Tool, ToolHost, schema_of
from openclaw_actors.tools.code_exec import CodeExecTool
from openclaw_actors.tools.database import DatabaseTool
from openclaw_actors.tools.delegate import DelegateArguments, tools_of_delegation
from openclaw_actors.tools.edits import EditFileTool, WriteFileTool
from openclaw_actors.tools.files import ListFilesTool, ReadFileTool
from openclaw_actors.tools.git import GitTool
from openclaw_actors.tools.memory import MemoryTool, ProjectMemoryTool
from openclaw_actors.tools.pdf_read import PdfReadTool
from openclaw_actors.tools.shell import ShellTool
from openclaw_actors.tools.skill import SkillReader, SkillTool
from openclaw_actors.tools.web_fetch import WebFetchTool
from openclaw_actors.tools.web_search import WebSearchTool

__all__ = ["ToolSource", "Toolbox", "toolbox_of"]


class ToolSource(Protocol):
    """Tools that come and go."""

    specs: tuple[ToolSpec, ...]
    """As the model sees them, in a fixed order."""

    def find(self, name: str) -> Tool[Any] | None:
        """The tool of this name."""


class Toolbox:
    """The tools of one session.

    Args:
        tools: those that it has for as long as it lives.

    Raises:
        ValueError: two have one name.
    """

    def __init__(self, tools: Iterable[Tool[Any]]) -> None:
        self.source: ToolSource | None = None
        """Of others."""
        self._tools: dict[str, Tool[Any]] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are called {tool.name}")
            self._tools[tool.name] = tool
        self._own_specs: tuple[ToolSpec, ...] = tuple(
            tool.spec() for tool in self._tools.values() if tool.offered
        )

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """As the model sees them, in a fixed order: what changes stands at the end."""
        return self._own_specs if self.source is None else self._own_specs + self.source.specs

    def __iter__(self) -> Iterator[Tool[Any]]:
        return iter(self._tools.values())

    def find(self, name: str) -> Tool[Any] | None:
        """The tool of this name, if the session has it."""
        tool = self._tools.get(name)
        return self.source.find(name) if tool is None and self.source is not None else tool


_ALWAYS: tuple[type[Tool[Any]], ...] = (
    MemoryTool,
    ProjectMemoryTool,
    ReadFileTool,
    ListFilesTool,
    WriteFileTool,
    EditFileTool,
    ShellTool,
)
_NATIVE: Mapping[str, type[Tool[Any]]] = {
    "code_exec": CodeExecTool,
    "git_tools": GitTool,
    "web_search": WebSearchTool,
    "web_fetch": WebFetchTool,
    "pdf_read": PdfReadTool,
    "database": DatabaseTool,
}
"""By their section in `plugins.native`."""

# Sessions are forked from a process that has imported this: none of them works out a schema.
for _tool in (*_ALWAYS, *_NATIVE.values()):
    schema_of(_tool.arguments)
schema_of(SkillTool.arguments)
schema_of(DelegateArguments)


def toolbox_of(host: ToolHost, skills: SkillReader | None = None) -> Toolbox:
    """The tools that the configuration gives to a session.

    Args:
        skills: the session's skills; None: they are off.
    """
    native = host.config.plugins.native
    enabled = (tool for section, tool in _NATIVE.items() if getattr(native, section).enabled)
    tools = [*(tool(host) for tool in (*_ALWAYS, *enabled)), *tools_of_delegation(host)]
    return Toolbox(tools if skills is None else [*tools, SkillTool(host, skills)])
