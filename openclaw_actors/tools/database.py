"""The tool `database`: a SQLite database that the operator has named."""

from __future__ import annotations

__all__ = ["DatabaseTool", "database_path"]

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Tool, ToolFailed, ToolHost
from openclaw_actors.tools.sqlite import SqliteDatabase, SqliteFailed, Table
from openclaw_actors.tools.threads import StopFlag, in_thread

_KEY = "plugins.native.database.connection_string"
_MOST_CHARS = 200_000
_MOST_VALUE_CHARS = 2_000
_TABLES = (
    "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' "
    "ORDER BY name"
)
_SCHEMA = "SELECT sql FROM sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL ORDER BY rowid"


class DatabaseArguments(Arguments, frozen=True):
    """What `database` is called with."""

    action: Annotated[
        Literal["query", "execute", "schema", "tables"],
        Meta(
            description="query reads, execute may change data, schema tells of one table, tables lists them."
        ),
    ]
    sql: Annotated[str, Meta(max_length=100_000, description="One statement, for query and execute.")] = ""
    table: Annotated[str, Meta(max_length=128, description="A table's name, for schema.")] = ""


class DatabaseTool(Tool[DatabaseArguments]):
    """One database."""

    name = "database"
    description = (
        "Ask the SQLite database: action=tables, schema (of a table), query (one SELECT) or execute (one statement "
        "that changes data, where that is allowed). Rows are JSON arrays, one a line, below the names of the columns."
    )
    arguments = DatabaseArguments

    def __init__(self, host: ToolHost) -> None:
        super().__init__(host)
        self.dangerous = host.config.plugins.native.database.allow_write

    async def run(self, arguments: DatabaseArguments) -> str:
        settings = self.host.config.plugins.native.database
        text = arguments.table if arguments.action == "schema" else arguments.sql
        if arguments.action != "tables" and not text.strip():
            needed = "table" if arguments.action == "schema" else "sql"
            raise ToolFailed(f"Error: '{needed}' is required for {arguments.action}.")
        path = database_path(self.host.secret(_KEY), Path(self.host.config.workspace))
        database = SqliteDatabase(path, timeout_s=settings.timeout_seconds)
        try:
            return await in_thread(lambda flag: self._ask(database, arguments, flag))
        except SqliteFailed as failure:
            raise self._told(failure, arguments.action) from None

    def _ask(self, database: SqliteDatabase, arguments: DatabaseArguments, flag: StopFlag) -> str:
        settings = self.host.config.plugins.native.database
        most = settings.max_rows
        match arguments.action:
            case "tables":
                found = database.run(_TABLES, flag=flag, max_rows=most)
                return _rows_of(found) if found.rows else "There are no tables."
            case "schema":
                found = database.run(_SCHEMA, (arguments.table,), flag=flag, max_rows=most)
                if not found.rows:
                    raise ToolFailed(f"Error: there is no table {arguments.table}; action=tables lists them.")
                return "\n".join(f"{row[0]};" for row in found.rows)[:_MOST_CHARS]
            case action:
                writes = action == "execute" and settings.allow_write
                answer = database.run(arguments.sql, flag=flag, max_rows=most, writes=writes)
        if answer.columns:
            return _rows_of(answer)
        return f"Done. {max(answer.changed, 0)} rows changed."

    def _told(self, failure: SqliteFailed, action: str) -> ToolFailed:
        if failure.timeout:
            return ToolFailed(f"Error: {failure.text}.", status="timeout")
        if not failure.denied:
            return ToolFailed(f"Error: {failure.text}.")
        if not self.host.config.plugins.native.database.allow_write:
            why = "this database is only read: plugins.native.database.allow_write is false"
        elif action == "query":
            why = "query only reads; use execute to change data"
        else:
            why = "other files, modules, settings and transactions are not within reach"
        return ToolFailed(
            f"Error: The database refuses this statement ({failure.text}): {why}.", status="denied"
        )


def database_path(connection_string: str, workspace: Path) -> Path:
    """The file that a connection string names: a path, or `Data Source=PATH` and more; relative to the workspace."""
    text = connection_string
    for part in connection_string.split(";"):
        name, equals, value = part.partition("=")
        if equals and name.strip().lower().replace(" ", "") in ("datasource", "filename"):
            text = value.strip()
            break
    return workspace / Path(text).expanduser()


def _rows_of(table: Table) -> str:
    lines = [_line(table.columns)]
    room = _MOST_CHARS
    for row in table.rows:
        line = _line(row)
        room -= len(line)
        if room < 0:
            return "\n".join(
                [
                    *lines,
                    f"[truncated: the first {len(lines) - 1} rows are shown; ask for fewer columns or rows]",
                ]
            )
        lines.append(line)
    if table.more:
        lines.append(f"[truncated: the first {len(table.rows)} rows are shown; there are more]")
    else:
        lines.append(f"({len(table.rows)} {'row' if len(table.rows) == 1 else 'rows'})")
    return "\n".join(lines)


def _line(values: tuple[Any, ...]) -> str:
    return msgspec.json.encode([_shown(value) for value in values]).decode()


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and len(value) > _MOST_VALUE_CHARS:
        return f"{value[:_MOST_VALUE_CHARS]}… [{len(value)} characters]"
    return value
