"""What the tools of MCP servers are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.tools.mcp.naming import server_of, tool_name


@pytest.mark.parametrize(
    ("server", "tool", "name"),
    [
        ("files", "read_file", "mcp__files__read_file"),
        ("a", "x" * 56, f"mcp__a__{'x' * 56}"),
        ("files", "read.file", "mcp__files__read_file_d96b0a1f"),
        ("a", "x" * 57, f"mcp__a__{'x' * 47}_"),
        ("a", "", "mcp__a___"),
    ],
)
def test_names(server: str, tool: str, name: str) -> None:
    assert tool_name(server, tool)[: len(name)][:-9] == name[:-9]
    assert server_of(tool_name(server, tool)) == server


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9]{1,32}", fullmatch=True), st.text(), st.text())
def test_every_name_is_one_that_providers_take_and_names_one_tool(server: str, one: str, other: str) -> None:
    names = tool_name(server, one), tool_name(server, other)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert (names[0] == names[1]) == (one == other)
    assert server_of(names[0]) == server


@pytest.mark.parametrize("name", ["memory", "mcp", "mcp__", "mcp__a", "mcp__a__", "xmcp__a__b"])
def test_names_of_other_tools_name_no_server(name: str) -> None:
    assert server_of(name) == ""
