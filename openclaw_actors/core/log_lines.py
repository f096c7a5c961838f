"""Reads the log's own lines, in either form, and decides which of them somebody wants to see."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import msgspec

from openclaw_actors.messages.base import Value

__all__ = ["LogLine", "LogQuery", "matcher", "parse_line"]

_HUMAN = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>[A-Z]+) +"
    r"(?P<process>[^\s\[\]]+)\[(?P<pid>\d+)\] (?P<logger>\S+)(?: (?P<rest>.*))?",
    re.DOTALL,
)
_MARK = re.compile(r'(corr|session|event)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)')
_FIELDS = {"corr": "correlation", "session": "session", "event": "event"}
_UNKNOWN_LEVEL = logging.INFO


class LogLine(Value):
    """One line of the log; what is empty, the line does not say."""

    at: str
    """As it stands there: UTC, ISO 8601."""
    level: str
    """`debug`, `info`, `warning`, `error` or `critical`."""
    process: str
    pid: int
    logger: str
    text: str
    correlation: str = ""
    session: str = ""
    event: str = ""


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted; what is empty matches every line."""

    correlation: str = ""
    session: str = ""
    contains: str = ""
    """In the text, upper or lower case alike."""
    level: str = "debug"
    """The least."""


class _JsonLine(msgspec.Struct):
    ts: str
    level: str
    process: str
    pid: int
    logger: str
    text: str
    correlation: str = ""
    session: str = ""
    event: Any = None


_decoder = msgspec.json.Decoder(_JsonLine)


def parse_line(line: str) -> LogLine | None:
    """A line of either form, without its line break; None: it is not one of ours."""
    if line.startswith("{"):
        return _parse_json(line)
    found = _HUMAN.fullmatch(line)
    if found is None:
        return None
    rest, marks = found["rest"] or "", {}
    while mark := _MARK.match(rest):
        if _FIELDS[mark[1]] in marks:
            break  # the text begins so
        marks[_FIELDS[mark[1]]] = _word(mark[2])
        rest = rest[mark.end() :]
    return LogLine(
        at=found["at"],
        level=found["level"].lower(),
        process=found["process"],
        pid=int(found["pid"]),
        logger=found["logger"],
        text=rest,
        **marks,
    )


def _parse_json(line: str) -> LogLine | None:
    try:
        read = _decoder.decode(line)
    except msgspec.MsgspecError:
        return None
    return LogLine(
        at=read.ts,
        level=read.level,
        process=read.process,
        pid=read.pid,
        logger=read.logger,
        correlation=read.correlation,
        session=read.session,
        event="" if read.event is None else str(read.event),
        text=read.text,
    )


def _word(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def matcher(query: LogQuery) -> Callable[[LogLine], bool]:
    """Whether a line is wanted."""
    least = _number(query.level)
    contains = query.contains.casefold()

    def matches(line: LogLine) -> bool:
        return (
            (not query.correlation or line.correlation == query.correlation)
            and (not query.session or line.session == query.session)
            and _number(line.level) >= least
            and (not contains or contains in line.text.casefold())
        )

    return matches


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), _UNKNOWN_LEVEL)
