"""A database is read, and changed only where that is allowed: the engine decides, whatever the text looks like."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.database import DatabaseTool, database_path
from tests.unit.tools.place import Host

ROWS = [(1, "Ada", 1.5, b"xyz"), (2, 'Gr"ace\n', None, None)]


class Session(Host):
    def __init__(self, path: str, **settings: Any) -> None:
        super().__init__({"plugins": {"native": {"database": {"enabled": True, **settings}}}})
        self._path = path

    def secret(self, key: str) -> str:
        assert key == "plugins.native.database.connection_string"
        return self._path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "my data?.db"
    with sqlite3.connect(made) as connection:
        connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, score REAL, photo BLOB)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", ROWS)
        connection.execute("CREATE VIEW names AS SELECT name FROM people")
        connection.execute("CREATE INDEX by_name ON people (name)")
    connection.close()
    return made


def call(path: Path, action: str, sql: str = "", *, table: str = "", **settings: Any) -> str:
    tool = DatabaseTool(Session(str(path), **settings))  # type: ignore[arg-type]
    return asyncio.run(
        tool.run(msgspec.convert({"action": action, "sql": sql, "table": table}, tool.arguments))
    )


def failure(path: Path, action: str, sql: str = "", **options: Any) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        call(path, action, sql, **options)
    return caught.value


def content(path: Path) -> list[Any]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT * FROM people").fetchall()
    connection.close()
    return found


def test_rows_are_told_with_their_columns(path: Path) -> None:
    assert call(path, "query", "SELECT * FROM people ORDER BY id").splitlines() == [
        '["id","name","score","photo"]',
        '[1,"Ada",1.5,"<3 bytes>"]',
        r'[2,"Gr\"ace\n",null,null]',
        "(2 rows)",
    ]
    assert call(path, "query", "WITH x AS (SELECT 1 AS a) SELECT a FROM x -- done") == '["a"]\n[1]\n(1 row)'
    assert call(path, "query", "SELECT name FROM names WHERE 0") == '["name"]\n(0 rows)'
    assert call(path, "query", "EXPLAIN QUERY PLAN SELECT 1").startswith('["id"')
    assert call(path, "execute", "SELECT 1 AS a") == '["a"]\n[1]\n(1 row)'


def test_tables_and_their_schema_are_told(path: Path) -> None:
    assert call(path, "tables") == '["name","type"]\n["names","view"]\n["people","table"]\n(2 rows)'
    schema = call(path, "schema", table="PEOPLE")
    assert schema.startswith("CREATE TABLE people (id INTEGER")
    assert schema.endswith("CREATE INDEX by_name ON people (name);")
    assert "there is no table x'; DROP" in failure(path, "schema", table="x'; DROP").text
    assert call(path, "query", "SELECT name FROM pragma_table_info('people')").count("\n") == 5


def test_full_text_indices_are_read(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIRTUAL TABLE notes USING fts5(text)")
        connection.execute("INSERT INTO notes VALUES ('hello world')")
    connection.close()
    said = call(path, "query", "SELECT text FROM notes WHERE notes MATCH 'hello'")
    assert said == '["text"]\n["hello world"]\n(1 row)'
    assert failure(path, "query", "INSERT INTO notes VALUES ('more')").status == "denied"


WRITES = [
    "INSERT INTO people (name) VALUES ('x')",
    "WITH x AS (SELECT 'x' AS n) INSERT INTO people (name) SELECT n FROM x",
    "/* SELECT */ DELETE FROM people",
    "-- SELECT\nUPDATE people SET name = 'x'",
    "REPLACE INTO people (id) VALUES (1)",
    "DELETE FROM people RETURNING *",
    "DROP TABLE people",
    "ALTER TABLE people ADD COLUMN more",
    "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)",
    "CREATE INDEX i ON people (score)",
    "CREATE VIRTUAL TABLE t USING fts5(a)",
    "ANALYZE",
    "REINDEX",
    "UPDATE sqlite_master SET sql = NULL",
    "DELETE FROM sqlite_master",
    "PRAGMA user_version = 7",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = OFF",
    "PRAGMA journal_mode = WAL",
    "BEGIN",
    "VACUUM",
]
NEVER = [
    "ATTACH '{other}' AS other",
    "VACUUM INTO '{other}'",
    "SELECT load_extension('/tmp/x.so')",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA database_list",
    "DETACH main",
]


@pytest.mark.parametrize("sql", WRITES + NEVER)
@pytest.mark.parametrize("action", ["query", "execute"])
def test_nothing_changes_where_only_reading_is_allowed(path: Path, action: str, sql: str) -> None:
    other = path.parent / "other.db"
    before = path.read_bytes()
    refused = failure(path, action, sql.format(other=other))
    assert refused.text.startswith("Error: ")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    if "load_extension" not in sql and "sqlite_master" not in sql:
        assert refused.status == "denied"
        assert "allow_write is false" in refused.text


@pytest.mark.parametrize("sql", NEVER)
def test_no_other_file_is_reached_even_where_writing_is_allowed(path: Path, sql: str) -> None:
    other = path.parent / "other.db"
    assert failure(path, "execute", sql.format(other=other), allow_write=True).text.startswith("Error: ")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_one_statement_and_no_more(path: Path) -> None:
    for sql in ("SELECT 1; DELETE FROM people", "SELECT 1; ATTACH 'x' AS x"):
        assert "one statement at a time" in failure(path, "query", sql).text
        assert "one statement at a time" in failure(path, "execute", sql, allow_write=True).text
    assert content(path) == ROWS


def test_execute_changes_where_that_is_allowed_and_query_does_not(path: Path) -> None:
    update = "UPDATE people SET score = 2 WHERE id = 2"
    assert "use execute" in failure(path, "query", update, allow_write=True).text
    assert call(path, "execute", update, allow_write=True) == "Done. 1 rows changed."
    assert content(path)[1][2] == 2
    assert call(path, "execute", "CREATE TABLE t (a)", allow_write=True) == "Done. 0 rows changed."
    insert = "INSERT INTO t VALUES (1), (2) RETURNING a"
    assert call(path, "execute", insert, allow_write=True) == '["a"]\n[1]\n[2]\n(2 rows)'
    assert call(path, "query", "SELECT count(*) AS n FROM t", allow_write=True) == '["n"]\n[2]\n(1 row)'


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


def test_a_statement_without_end_is_given_up(path: Path) -> None:
    refused = failure(path, "query", ENDLESS.format("max(i)"), timeout_seconds=0.2)
    assert (refused.text, refused.status) == ("Error: the statement took longer than 0.2 seconds.", "timeout")
    sql = ENDLESS.format("i").replace("WITH", "INSERT INTO people (score) WITH", 1)
    assert failure(path, "execute", sql, timeout_seconds=0.2, allow_write=True).status == "timeout"
    assert content(path) == ROWS


def test_a_statement_ends_with_its_call(path: Path) -> None:
    async def scene() -> None:
        tool = DatabaseTool(Session(str(path)))  # type: ignore[arg-type]
        arguments = msgspec.convert({"action": "query", "sql": ENDLESS.format("max(i)")}, tool.arguments)
        asking = asyncio.ensure_future(tool.run(arguments))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        deadline = time.monotonic() + 5
        while any("asyncio" in thread.name and _busy(thread) for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    asyncio.run(scene())


def _busy(thread: threading.Thread) -> bool:
    import sys

    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "_ask":
            return True
        frame = frame.f_back
    return False


def test_answers_are_cut_and_say_so(path: Path) -> None:
    said = call(path, "query", ENDLESS.format("i"), max_rows=3)
    assert said == '["i"]\n[1]\n[2]\n[3]\n[truncated: the first 3 rows are shown; there are more]'
    said = call(path, "query", ENDLESS.format("printf('%.*c', 5000, 'x') AS x"))
    assert "… [5000 characters]" in said
    assert len(said) < 210_000
    assert "ask for fewer columns or rows]" in said
    for sql in ("SELECT zeroblob(1000000000)", "SELECT hex(zeroblob(3000000))"):
        assert "too big" in failure(path, "query", sql).text


def test_memory_has_an_end(path: Path) -> None:
    sql = ENDLESS.format("printf('%.*c', 1000000, 'x') AS x") + " ORDER BY random()"
    assert failure(path, "query", sql).text in (
        "Error: out of memory.",
        "Error: there is not enough memory for it.",
    )
    assert call(path, "query", "SELECT 1 AS a").startswith('["a"]')


@pytest.mark.parametrize(
    ("action", "sql", "text"),
    [
        ("query", "", "'sql' is required for query"),
        ("execute", " ", "'sql' is required for execute"),
        ("schema", "", "'table' is required for schema"),
        ("query", "SELEC 1", 'near "SELEC": syntax error'),
        ("query", "SELECT * FROM nobody", "no such table: nobody"),
        ("query", "SELECT ?", "binding"),
    ],
)
def test_what_cannot_be_asked_is_told(path: Path, action: str, sql: str, text: str) -> None:
    assert text in failure(path, action, sql).text


def test_a_database_that_is_none_is_told_and_not_made(path: Path) -> None:
    nothing = path.parent / "nothing.db"
    for allow_write in (False, True):
        assert "No such file" in failure(nothing, "tables", allow_write=allow_write).text
    assert not nothing.exists()
    assert "is no file" in failure(path.parent, "tables").text
    nothing.write_text("this is no database, but a text that is long enough to be looked at")
    assert "not a database" in failure(nothing, "tables").text


def test_a_database_that_may_be_changed_counts_as_dangerous(path: Path) -> None:
    for allow_write in (False, True):
        tool = DatabaseTool(Session(str(path), allow_write=allow_write))  # type: ignore[arg-type]
        assert tool.dangerous is allow_write


def test_text_of_other_bytes_is_shown(path: Path) -> None:
    assert call(path, "query", "SELECT CAST(x'ff41' AS TEXT) AS t") == '["t"]\n["\ufffdA"]\n(1 row)'
    assert call(path, "query", "SELECT 9e999 AS i") == '["i"]\n["inf"]\n(1 row)'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/data/x.db", "/data/x.db"),
        ("x.db", "/w/x.db"),
        ("Data Source=/data/x.db", "/data/x.db"),
        ("data source = my.db ;Mode=ReadOnly", "/w/my.db"),
        ("Pooling=true;DataSource=/a b.db", "/a b.db"),
    ],
)
def test_connection_strings(text: str, found: str) -> None:
    assert database_path(text, Path("/w")) == Path(found)
