"""Looks at the log: how much of the disk it takes, and what went wrong in the last hour, by kind."""

from __future__ import annotations

__all__ = ["Kind", "errors_since", "look"]

import calendar
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, info, ok, warning
from openclaw_actors.cli.tables import size
from openclaw_actors.core.log_lines import LogLine, parse_line

HOUR_S = 3_600.0
READ_BYTES = 8 * 1024 * 1024
"""Of the end of each log file; more lines of one hour are a storm, and counted in part."""

_SHOWN = 6
_TEXT_CHARS = 100
_BAD = ("error", "critical")
_NUMBERS = re.compile(r"\b(?:0x)?[0-9a-f]*\d[0-9a-f.]*\b")


@dataclass(frozen=True, slots=True)
class Kind:
    """Lines that say the same, but for numbers."""

    process: str
    text: str


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    logs, limits = context.paths.logs, context.config.logging
    try:
        with os.scandir(logs) as entries:
            total = sum(entry.stat().st_size for entry in entries if entry.is_file())
    except FileNotFoundError:
        yield info(f"there is no log in {logs} yet")
        return
    allowed = limits.max_bytes * (limits.backups + 1)
    if total > 2 * allowed:
        yield warning(
            f"{logs} holds {size(total)}, and logging.max_bytes and logging.backups allow {size(allowed)}",
            why="the log is not set aside as it should be, or something else writes there",
            remedy=f"ls -l {logs}; remove what is not gateway.log and its numbers",
        )
    else:
        yield ok(f"{size(total)} in {logs}")
    if limits.level == "debug":
        yield info("logging.level is debug", why="the log grows fast", remedy="logging.level: warning")
    yield from _errors(logs)


def _errors(logs: Path) -> Iterator[Finding]:
    found = errors_since(logs, time.time() - HOUR_S)
    if not found:
        yield ok("no errors in the last hour")
        return
    for kind, count in found.most_common(_SHOWN):
        yield warning(
            f"{count} in the last hour, of {kind.process}: {kind.text}",
            why="an error is what a person should look at",
            remedy=f"grep -n ERROR {logs / 'gateway.log'} | tail",
        )
    if len(found) > _SHOWN:
        yield info(f"and {len(found) - _SHOWN} other kinds of errors in the last hour")


def errors_since(logs: Path, since: float) -> Counter[Kind]:
    """Count the errors in a log.

    Args:
        logs: the directory.
        since: Unix time.
    """
    found: Counter[Kind] = Counter()
    for name in ("gateway.log", "gateway.log.1"):
        for line in _tail(logs / name):
            parsed = parse_line(line)
            if parsed is None or parsed.level not in _BAD:
                continue
            at = _at(parsed)
            if at is not None and at >= since:
                found[Kind(parsed.process, _NUMBERS.sub("N", parsed.text)[:_TEXT_CHARS])] += 1
    return found


def _tail(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - READ_BYTES))
            data = file.read(READ_BYTES)
    except OSError:
        return  # it is not there
    for line in data.splitlines():
        yield line.decode(errors="replace")


def _at(line: LogLine) -> float | None:
    """Unix time of a line."""
    try:
        return float(calendar.timegm(time.strptime(line.at[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return None
