"""Asks a SQLite database within bounds, and lets the engine itself refuse what is not allowed.

What a statement does is not told from its text: the file is opened read-only, the connection refuses to write, and an
authorizer hears of every single thing that a statement would do before it runs.
"""

from __future__ import annotations

__all__ = ["SqliteDatabase", "SqliteFailed", "Table"]

import contextlib
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openclaw_actors.tools.threads import StopFlag

_LOOK_EVERY = 5_000
"""Instructions of the engine between two looks at the clock."""
_HEAP_BYTES = 128 * 1024 * 1024
_VALUE_BYTES = 4_000_000
_ROWS_BYTES = 4_000_000
"""Of all rows of one answer, about; what is shown of them is less."""
_SQL_BYTES = 100_000
_PATTERN_BYTES = 1_000
_LOCKED_S = 5.0
_READING = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE))
_WRITING = frozenset(
    (
        *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE),
        *(sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_ALTER_TABLE),
        *(
            sqlite3.SQLITE_CREATE_INDEX,
            sqlite3.SQLITE_DROP_INDEX,
            sqlite3.SQLITE_REINDEX,
            sqlite3.SQLITE_ANALYZE,
        ),
        *(sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_DROP_VIEW),
        *(sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_DROP_TRIGGER),
    )
)
"""Neither ATTACH, which opens other files and with it VACUUM INTO, nor modules, nor transactions: each call is one."""
_HARMLESS_PRAGMAS = frozenset(
    (
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "data_version",
    )
)
_BAD_FUNCTIONS = frozenset(("load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"))


class SqliteFailed(Exception):
    """Raised when a statement cannot be carried out.

    Args:
        text: why.
        denied: it is not allowed.
        timeout: its time was over.
    """

    def __init__(self, text: str, *, denied: bool = False, timeout: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.denied = denied
        self.timeout = timeout


@dataclass(frozen=True, slots=True)
class Table:
    """What a statement answered."""

    columns: tuple[str, ...]
    """None where it answers nothing."""
    rows: list[tuple[Any, ...]]
    more: bool
    """There were more rows than are kept."""
    changed: int
    """Rows that it inserted, updated or deleted; -1 where that means nothing."""


class SqliteDatabase:
    """One database file; every call opens it anew.

    Args:
        path: of the file, which must exist.
        timeout_s: for one statement, in seconds.
    """

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def run(
        self,
        sql: str,
        parameters: tuple[str, ...] = (),
        *,
        flag: StopFlag,
        max_rows: int,
        writes: bool = False,
    ) -> Table:
        """Carry out one statement.

        Args:
            sql: the statement.
            parameters: for its question marks.
            flag: ends it.
            max_rows: kept of what it answers.
            writes: it may change the database.

        Raises:
            SqliteFailed: it cannot be carried out; nothing has changed.
        """
        deadline = time.monotonic() + self._timeout_s

        def is_over() -> bool:
            return flag.is_set or time.monotonic() >= deadline

        with self._open(writes=writes, is_over=is_over) as connection:
            try:
                cursor = connection.execute(sql, parameters)
                rows, more = _rows_of(cursor, max_rows)
                columns = tuple(column[0] for column in cursor.description or ())
                return Table(columns, rows, more, cursor.rowcount)
            except sqlite3.Error as error:
                if is_over():
                    text = f"the statement took longer than {self._timeout_s:g} seconds"
                    raise SqliteFailed(text, timeout=True) from None
                raise _failure(error) from None
            except (MemoryError, OverflowError, ValueError) as error:
                raise SqliteFailed(str(error) or "there is not enough memory for it") from None

    @contextlib.contextmanager
    def _open(self, *, writes: bool, is_over: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise SqliteFailed("what stands at the database's path is no file")
            uri = f"file:{quote(str(self._path))}?mode={'rw' if writes else 'ro'}"
            connection = sqlite3.connect(
                uri,
                uri=True,
                timeout=min(self._timeout_s, _LOCKED_S),
                isolation_level=None,
                cached_statements=0,
            )
        except OSError as error:
            raise SqliteFailed(f"the database cannot be opened: {error.strerror}") from None
        except sqlite3.Error as error:
            raise SqliteFailed(f"the database cannot be opened: {error}") from None
        try:
            _bound(connection, writes=writes)
            connection.set_authorizer(_Authorizer(writes=writes))
            connection.set_progress_handler(is_over, _LOOK_EVERY)
            yield connection
        except sqlite3.Error as error:
            raise _failure(error) from None
        finally:
            connection.close()


def _bound(connection: sqlite3.Connection, *, writes: bool) -> None:
    for limit, value in (
        (sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, _SQL_BYTES),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _PATTERN_BYTES),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        connection.setlimit(limit, value)
    connection.text_factory = lambda data: data.decode(errors="replace")
    # What is sorted stays in memory, of which there is little: on the disk nothing would limit it.
    for pragma in ("temp_store = MEMORY", f"hard_heap_limit = {_HEAP_BYTES}", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    if not writes:
        connection.execute("PRAGMA query_only = ON")


def _rows_of(cursor: sqlite3.Cursor, most: int) -> tuple[list[tuple[Any, ...]], bool]:
    """As many rows as are kept, and whether there were more."""
    rows: list[tuple[Any, ...]] = []
    room = _ROWS_BYTES
    for row in cursor:
        if len(rows) >= most or room < 0:
            return rows, True
        room -= sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        rows.append(row)
    return rows, False


class _Authorizer:
    """Asked by the engine about every single thing that a statement would do."""

    def __init__(self, *, writes: bool) -> None:
        self._allowed = _READING | _WRITING if writes else _READING

    def __call__(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        match action:
            case sqlite3.SQLITE_FUNCTION:
                allowed = (second or "").lower() not in _BAD_FUNCTIONS
            case sqlite3.SQLITE_PRAGMA:
                allowed = (first or "").lower() in _HARMLESS_PRAGMAS
            case sqlite3.SQLITE_UPDATE if first == "sqlite_master":
                # What the engine says of itself when it opens a virtual table, such as a full-text index; a statement
                # that really does so is refused by the engine.
                allowed = True
            case _:
                allowed = action in self._allowed
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _failure(error: sqlite3.Error) -> SqliteFailed:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    text = str(error) or type(error).__name__
    # Where the engine parses a second statement for the first one, only the text tells.
    denied = code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY) or text == "not authorized"
    return SqliteFailed(text, denied=denied)
