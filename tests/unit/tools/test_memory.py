"""Notes are kept, found and deleted by what the tools say."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from openclaw_actors.config import GatewayConfig
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Deleted,
    DeleteNote,
    ListNotes,
    LoadNote,
    NoteKeys,
    NoteSaved,
    NoteText,
    SaveNote,
)
from openclaw_actors.tools.base import Tool, ToolFailed, ToolHost
from openclaw_actors.tools.memory import MemoryTool, ProjectMemoryTool


class Store:
    """A session whose store keeps notes in a dictionary."""

    def __init__(self, *, session: str = "websocket:local:main", project: str = "p") -> None:
        self.session = session
        self.config = msgspec.convert({"memory": {"project_id": project}}, GatewayConfig)
        self.notes: dict[str, str] = {}
        self.refuses = False

    async def ask_store(self, message: Any) -> Any:
        if self.refuses:
            raise AskRefused("too_large", "the note is too large")
        match message:
            case SaveNote():
                self.notes[message.key] = message.text
                return NoteSaved()
            case LoadNote():
                return NoteText(text=self.notes.get(message.key))
            case ListNotes():
                found = sorted(key for key in self.notes if key.startswith(message.prefix))
                return NoteKeys(keys=tuple(found[: message.limit]))
            case DeleteNote():
                return Deleted(existed=self.notes.pop(message.key, None) is not None)
        raise AssertionError(message)


def call(tool: type[Tool[Any]], store: Store, **arguments: str) -> str:
    made = tool(cast(ToolHost, store))
    return asyncio.run(made.run(msgspec.convert(arguments, made.arguments)))


def test_a_note_is_kept_for_all_conversations() -> None:
    store = Store()
    assert call(MemoryTool, store, action="read", key="k") == "No note found for key: k"
    assert call(MemoryTool, store, action="write", key="k", content="text") == "Saved note: k"
    assert call(MemoryTool, store, action="read", key="k") == "text"


def test_a_person_has_the_same_notes_in_every_conversation_and_nobody_elses() -> None:
    store = Store(session="websocket:alice:one")
    call(MemoryTool, store, action="write", key="k", content="of alice")
    for session, found in (
        ("websocket:alice:two", "of alice"),
        ("websocket:bob:one", "No note found for key: k"),
        ("sms:+15551234567", "No note found for key: k"),
        ("websocket:default:one", "No note found for key: k"),
    ):
        other = Store(session=session)
        other.notes = store.notes
        assert call(MemoryTool, other, action="read", key="k") == found


@pytest.mark.parametrize("key", ["project:p:secret", "memory:alice:k"])
def test_no_key_reaches_the_notes_of_projects_or_of_others(key: str) -> None:
    store = Store(session="websocket:local:main")
    store.notes = {"project:p:secret": "of the project", "memory:alice:k": "of alice"}
    assert call(MemoryTool, store, action="read", key=key) == f"No note found for key: {key}"
    call(MemoryTool, store, action="write", key=key, content="mine")
    assert store.notes["project:p:secret"] == "of the project"
    assert store.notes["memory:alice:k"] == "of alice"


def test_the_owner_reads_the_notes_that_an_older_gateway_left() -> None:
    store = Store()
    store.notes = {"k": "from before"}
    assert call(MemoryTool, store, action="read", key="k") == "from before"
    call(MemoryTool, store, action="write", key="k", content="from now on")
    assert call(MemoryTool, store, action="read", key="k") == "from now on"
    other = Store(session="websocket:bob:main")
    other.notes = {"k": "from before"}
    assert call(MemoryTool, other, action="read", key="k") == "No note found for key: k"


def test_a_project_whose_name_begins_like_anothers_has_its_own_notes() -> None:
    store = Store(project="a:b")
    call(ProjectMemoryTool, store, action="save", key="k", content="x")
    other = Store(project="a")
    other.notes = store.notes
    assert call(ProjectMemoryTool, other, action="list") == "No project memory saved yet."


def test_an_empty_note_is_a_note() -> None:
    store = Store()
    call(MemoryTool, store, action="write", key="k")
    assert call(MemoryTool, store, action="read", key="k") == ""


@pytest.mark.parametrize("key", ["../x", "a/b", "a\\b", "a\0b"])
def test_a_key_that_looks_like_a_path_is_refused(key: str) -> None:
    store = Store()
    for tool, action in ((MemoryTool, "write"), (ProjectMemoryTool, "save")):
        with pytest.raises(ToolFailed, match="must not hold"):
            call(tool, store, action=action, key=key, content="x")
    assert store.notes == {}


def test_the_notes_of_projects_are_apart() -> None:
    store = Store(project="p")
    assert call(ProjectMemoryTool, store, action="list") == "No project memory saved yet."
    assert call(ProjectMemoryTool, store, action="save", key="a", content="A") == "Saved project memory: a"
    call(ProjectMemoryTool, store, action="save", key="b", content="B")
    other = Store(project="q")
    other.notes = store.notes
    call(ProjectMemoryTool, other, action="save", key="c", content="C")
    assert call(ProjectMemoryTool, store, action="list") == "Project memory keys:\n  - a\n  - b"
    assert call(ProjectMemoryTool, store, action="load", key="a") == "A"
    assert call(ProjectMemoryTool, store, action="load", key="c") == "No project memory found for key: c"
    assert call(ProjectMemoryTool, store, action="delete", key="a") == "Deleted project memory: a"
    assert call(ProjectMemoryTool, store, action="delete", key="a") == "No project memory found for key: a"


def test_many_notes_are_not_all_listed_and_it_says_so() -> None:
    store = Store()
    store.notes = {f"project:p:{number:04}": "x" for number in range(700)}
    lines = call(ProjectMemoryTool, store, action="list").splitlines()
    assert len(lines) == 502
    assert lines[-1] == "  (the first 500 are shown)"


@pytest.mark.parametrize("action", ["save", "load", "delete"])
def test_what_is_about_one_note_needs_its_key(action: str) -> None:
    with pytest.raises(ToolFailed, match=f"'key' is required for {action}"):
        call(ProjectMemoryTool, Store(), action=action)


def test_what_the_store_refuses_is_told() -> None:
    store = Store()
    store.refuses = True
    with pytest.raises(ToolFailed, match="the note is too large"):
        call(MemoryTool, store, action="write", key="k", content="x")
