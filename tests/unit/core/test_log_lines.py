"""The log's own lines are read as they were written, in either form."""

from __future__ import annotations

import logging

import pytest

from openclaw_actors import logs
from openclaw_actors.core.log_lines import LogLine, LogQuery, matcher, parse_line

TEXTS = (
    "plain",
    "corr=x session=y looks like a mark",
    'a "quoted" word',
    "two\nlines",
    "",
    "ünï → ☃ [1]",
    "{}",
)


@pytest.mark.parametrize("form", [logs.HumanFormatter, logs.JsonFormatter])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("session", ["", "websocket:local:main", 'sms:with "spaces" in it', "session=x"])
@pytest.mark.parametrize("correlation", ["", "c-1.2"])
def test_what_is_written_is_read(
    form: type[logging.Formatter], text: str, session: str, correlation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_process", "router")
    record = logging.LogRecord("openclaw_actors.x", logging.WARNING, "", 0, "%s", (text,), None)
    with logs.bind(correlation=correlation, session=session):
        line = form().format(record)
    read = parse_line(line)
    assert read is not None
    assert (read.level, read.process, read.logger) == ("warning", "router", "openclaw_actors.x")
    if form is logs.JsonFormatter or correlation or not text.startswith("corr="):
        assert read.correlation == correlation
    if form is logs.JsonFormatter or session or not text.startswith("corr="):
        assert read.session == session
    if form is logs.JsonFormatter:
        assert read.text == text
    elif (correlation and session) or not text.startswith("corr="):
        assert read.text == text.replace("\n", " | ")


@pytest.mark.parametrize(
    "line", ["", "Traceback (most recent call last):", "{", '{"ts": 1}', "2026 x", "[]", "\0"]
)
def test_what_is_no_line_of_ours_is_none(line: str) -> None:
    assert parse_line(line) is None


def line(**fields: str) -> LogLine:
    base = {"at": "", "level": "info", "process": "p", "logger": "l", "text": "Some Text"}
    return LogLine(pid=1, **{**base, **fields})


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (LogQuery(), True),
        (LogQuery(level="warning"), False),
        (LogQuery(level="info"), True),
        (LogQuery(contains="sOME t"), True),
        (LogQuery(contains="other"), False),
        (LogQuery(session="s"), True),
        (LogQuery(session="other"), False),
        (LogQuery(correlation="c"), True),
        (LogQuery(correlation="c1"), False),
    ],
)
def test_which_lines_are_wanted(query: LogQuery, wanted: bool) -> None:
    assert matcher(query)(line(session="s", correlation="c")) is wanted
