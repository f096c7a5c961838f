"""Every tool can be told to a model, and a session has those that are configured."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from openclaw_actors.config.features import NativePluginsConfig
from openclaw_actors.tools.base import ToolHost, schema_of
from openclaw_actors.tools.registry import toolbox_of
from tests.unit.tools.place import Host

ALWAYS = {"memory", "project_memory", "read_file", "list_files", "write_file", "edit_file", "shell"}
NATIVE = {
    "code_exec": "code_exec",
    "git_tools": "git",
    "web_search": "web_search",
    "web_fetch": "web_fetch",
    "pdf_read": "pdf_read",
    "database": "database",
}


def names(**enabled: bool) -> set[str]:
    native = {section: {"enabled": on} for section, on in enabled.items()}
    host = cast(ToolHost, Host({"plugins": {"native": native}, "tooling": {"allow_shell": True}}))
    return {tool.name for tool in toolbox_of(host)}


def test_the_configuration_decides_which_tools_a_session_has() -> None:
    assert names() == ALWAYS
    for section, name in NATIVE.items():
        assert names(**{section: True}) == ALWAYS | {name}
    assert NATIVE.keys() <= set(NativePluginsConfig.__struct_fields__)


def everything() -> list[Any]:
    native = {section: {"enabled": True} for section in NATIVE}
    return list(toolbox_of(cast(ToolHost, Host({"plugins": {"native": native}}))))


@pytest.mark.parametrize("tool", everything(), ids=lambda tool: tool.name)
def test_a_model_is_told_of_each_argument(tool: Any) -> None:
    schema = cast(dict[str, Any], schema_of(tool.arguments))
    assert schema["type"] == "object"
    assert "$ref" not in msgspec.json.encode(schema).decode()
    for field in schema["properties"].values():
        assert "type" in field or "anyOf" in field
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"nobody": 1}', type=tool.arguments)
