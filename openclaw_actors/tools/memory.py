"""The tools `memory` and `project_memory`: notes that outlive conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from openclaw_actors.core.principals import principal_of
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Deleted,
    DeleteNote,
    ListNotes,
    LoadNote,
    NoteKeys,
    NoteText,
    SaveNote,
)
from openclaw_actors.tools.base import Arguments, Tool, ToolFailed

__all__ = ["MemoryTool", "ProjectMemoryTool"]

_Key = Annotated[str, Meta(min_length=1, max_length=500, description="Name of the note.")]
_Content = Annotated[str, Meta(max_length=1_000_000, description="Text of the note.")]
_MOST_KEYS = 500
_SCOPES = ("memory:", "project:")
_HEIRS = frozenset(("default", "local"))
"""Who may read the notes that a gateway of before left, which knew no owners."""


class MemoryArguments(Arguments, frozen=True):
    """What `memory` is called with."""

    action: Literal["read", "write"]
    key: _Key
    content: _Content = ""


class MemoryTool(Tool[MemoryArguments]):
    """Notes of one person, in all of their conversations. Nobody reaches another's, nor those of a project."""

    name = "memory"
    description = (
        "Read or write a note that outlives this conversation. action=read answers the note of that key; "
        "action=write replaces it by content."
    )
    arguments = MemoryArguments

    async def run(self, arguments: MemoryArguments) -> str:
        key = _checked(arguments.key)
        try:
            owner = principal_of(self.host.session)
            mine = f"memory:{_part(owner)}:{key}"
            if arguments.action == "write":
                await self.host.ask_store(SaveNote(key=mine, text=arguments.content))
                return f"Saved note: {key}"
            note: NoteText = await self.host.ask_store(LoadNote(key=mine))
            if note.text is None and owner in _HEIRS and not key.startswith(_SCOPES):
                note = await self.host.ask_store(LoadNote(key=key))
        except AskRefused as refusal:
            raise ToolFailed(f"Error: {refusal.text}") from None
        return note.text if note.text is not None else f"No note found for key: {key}"


class ProjectMemoryArguments(Arguments, frozen=True):
    """What `project_memory` is called with."""

    action: Literal["save", "load", "list", "delete"]
    key: Annotated[str, Meta(max_length=500, description="Name of the note; not for list.")] = ""
    content: _Content = ""


class ProjectMemoryTool(Tool[ProjectMemoryArguments]):
    """Notes of one project, `memory.project_id`."""

    name = "project_memory"
    description = (
        "Keep notes about this project that outlive the conversation: action=save, load, list or delete; "
        "key names the note, content is its text."
    )
    arguments = ProjectMemoryArguments

    async def run(self, arguments: ProjectMemoryArguments) -> str:
        try:
            if arguments.action == "list":
                return await self._list()
            if not arguments.key.strip():
                raise ToolFailed(f"Error: 'key' is required for {arguments.action}.")
            return await self._on_one(arguments, _checked(arguments.key))
        except AskRefused as refusal:
            raise ToolFailed(f"Error: {refusal.text}") from None

    @property
    def _prefix(self) -> str:
        return f"project:{_part(self.host.config.memory.project_id)}:"

    async def _list(self) -> str:
        prefix = self._prefix
        found: NoteKeys = await self.host.ask_store(ListNotes(prefix=prefix, limit=_MOST_KEYS + 1))
        if not found.keys:
            return "No project memory saved yet."
        keys = found.keys[:_MOST_KEYS]
        lines = [f"  - {key.removeprefix(prefix)}" for key in keys]
        more = [f"  (the first {_MOST_KEYS} are shown)"] if len(found.keys) > _MOST_KEYS else []
        return "\n".join(["Project memory keys:", *lines, *more])

    async def _on_one(self, arguments: ProjectMemoryArguments, key: str) -> str:
        note = self._prefix + key
        match arguments.action:
            case "save":
                await self.host.ask_store(SaveNote(key=note, text=arguments.content))
                return f"Saved project memory: {key}"
            case "delete":
                deleted: Deleted = await self.host.ask_store(DeleteNote(key=note))
                return (
                    f"Deleted project memory: {key}"
                    if deleted.existed
                    else f"No project memory found for key: {key}"
                )
            case _:
                found: NoteText = await self.host.ask_store(LoadNote(key=note))
                return found.text if found.text is not None else f"No project memory found for key: {key}"


def _checked(key: str) -> str:
    """The key, which must not look like a path: other programs may keep notes as files.

    Raises:
        ToolFailed: it is one.
    """
    for part in ("..", "/", "\\", "\0"):
        if part in key:
            raise ToolFailed(f"Error: 'key' must not hold {part!r}.")
    return key


def _part(text: str) -> str:
    """The text as one part of a key, whatever it holds: no part is the beginning of another."""
    return text.replace("%", "%25").replace(":", "%3A")
