"""Decides how an exported conversation is written: the records as lines or as one document, or as Markdown. Pure.

JSON documents carry `schema` and `version`; a field may be added without a new version, but none removed or changed.
"""

from __future__ import annotations

__all__ = ["FORMATS", "SCHEMA", "VERSION", "About", "Export", "about", "render"]

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol

import msgspec

from openclaw_actors.messages.archive import RecordsPage
from openclaw_actors.messages.records import (
    AssistantSpoke,
    Record,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    UserSaid,
)

SCHEMA = "openclaw-actors.session"
VERSION = 1


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before the records."""

    schema: str = SCHEMA
    version: int = VERSION
    session: str
    archive: str | None = None
    """Its name in the archive; None: it is not archived."""
    exported_at: float
    """Unix time, seconds, as all times."""
    created_at: float
    last_active_at: float
    turns: int


def about(first: RecordsPage, *, exported_at: float) -> About:
    """What stands before the records, from the first page of them."""
    return About(
        session=first.session,
        archive=first.archive or None,
        exported_at=exported_at,
        created_at=first.created_at,
        last_active_at=first.last_active_at,
        turns=first.turns,
    )


def render(format_: str, about: About, records: Iterable[Record]) -> Iterator[str]:
    """The export, piece by piece: no more than a record of it is in memory.

    Args:
        format_: one of `FORMATS`.
    """
    export = FORMATS[format_]()
    yield export.begin(about)
    for record in records:
        yield export.record(record)
    yield export.end()


class Export(Protocol):
    """Writes one export: `begin`, `record` for each, `end`."""

    def begin(self, about: About) -> str: ...

    def record(self, record: Record) -> str: ...

    def end(self) -> str: ...


class _JsonLines:
    def begin(self, about: About) -> str:
        return _json(about) + "\n"

    def record(self, record: Record) -> str:
        return _json(record) + "\n"

    def end(self) -> str:
        return ""


class _JsonDocument:
    def __init__(self) -> None:
        self._before = "\n"

    def begin(self, about: About) -> str:
        return _json(about)[:-1] + ',"records":['

    def record(self, record: Record) -> str:
        before, self._before = self._before, ",\n"
        return before + _json(record)

    def end(self) -> str:
        return "\n]}\n"


class _Markdown:
    def begin(self, about: About) -> str:
        turns = "1 turn" if about.turns == 1 else f"{about.turns} turns"
        archived = f", archived as {about.archive}" if about.archive else ""
        when = f"begun {_when(about.created_at)}, exported {_when(about.exported_at)}"
        return f"# {_line(about.session)}\n\n{turns}, {when}{archived}\n"

    def record(self, record: Record) -> str:
        return _paragraphs(record)

    def end(self) -> str:
        return ""


def _paragraphs(record: Record) -> str:
    match record:
        case UserSaid():
            return f"\n## User, {_when(record.at)}\n\n{record.text}\n"
        case AssistantSpoke() if record.text:
            return f"\n{record.text}\n"
        case ToolStarted():
            return f"\nTool `{_line(record.name)}`:\n\n{_code(record.arguments)}"
        case ToolFinished():
            return f"\nResult of `{_line(record.name)}` ({record.status}):\n\n{_code(record.text)}"
        case TurnEnded():
            status = "" if record.status == "completed" else f" ({record.status})"
            return f"\n## Assistant{status}, {_when(record.at)}\n\n{record.text}\n"
    return ""


def _code(text: str) -> str:
    """A block that its own text cannot end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}\n"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")


def _when(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


FORMATS: Mapping[str, Callable[[], Export]] = MappingProxyType(
    {"jsonl": _JsonLines, "json": _JsonDocument, "markdown": _Markdown}
)
"""A format's name -> what begins an export in it."""
