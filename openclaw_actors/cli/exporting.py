"""Decides how an exported conversation is written: the records as lines or as one document, or as Markdown. Pure.

JSON documents carry `schema` and `version`; a field may be added without a new version, but none removed or changed.
"""

from __future__ import annotations

__all__ = ["FORMATS", "SCHEMA", "VERSION", "About", "render"]

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import msgspec

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


def render(format_: str, about: About, records: Iterable[Record]) -> Iterator[str]:
    """The export, piece by piece: no more than a record of it is in memory.

    Args:
        format_: one of `FORMATS`.
    """
    return FORMATS[format_](about, records)


def _json_lines(about: About, records: Iterable[Record]) -> Iterator[str]:
    yield _json(about) + "\n"
    for record in records:
        yield _json(record) + "\n"


def _json_document(about: About, records: Iterable[Record]) -> Iterator[str]:
    yield _json(about)[:-1] + ',"records":['
    before = "\n"
    for record in records:
        yield before + _json(record)
        before = ",\n"
    yield "\n]}\n"


def _markdown(about: About, records: Iterable[Record]) -> Iterator[str]:
    yield f"# {_line(about.session)}\n\n"
    turns = "1 turn" if about.turns == 1 else f"{about.turns} turns"
    archived = f", archived as {about.archive}" if about.archive else ""
    yield f"{turns}, begun {_when(about.created_at)}, exported {_when(about.exported_at)}{archived}\n"
    for record in records:
        yield _paragraphs(record)


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


FORMATS: dict[str, Callable[[About, Iterable[Record]], Iterator[str]]] = {
    "jsonl": _json_lines,
    "json": _json_document,
    "markdown": _markdown,
}
