"""Looks at the versions of Python and of the packages, and whether the gateway that runs is the one installed."""

from __future__ import annotations

__all__ = ["look", "unmet"]

import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from openclaw_actors import __version__
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning

_DISTRIBUTION = "openclaw-actors"
_LEAST = (3, 11)
_TESTED = (3, 13)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*\(?((?:[<>=!~]=?[^;)]*)?)\)?\s*(;.*)?")
_SLACK_S = 5.0
_PROGRAM = Path(__file__).parents[2]


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _LEAST:
        yield error(
            f"this is Python {running}", why="3.11 is the least", remedy="install Python 3.11 or later"
        )
    elif sys.version_info[:2] > _TESTED:
        yield info(f"this is Python {running}", why="it is newer than what this version was tested with")
    yield ok(f"openclaw-actors {__version__}, Python {running}, Linux {platform.release()}")
    yield from _packages()
    if context.record is not None:
        yield from _replaced(context.record.started_ticks)


def _packages() -> Iterator[Finding]:
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield info(
            "it runs from a directory of sources and is not installed", why="versions cannot be compared"
        )
        return
    for requirement in requirements:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None or (match[3] and "extra" in match[3]):
            continue
        name, wanted = match[1], match[2].replace(" ", "")
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield error(
                f"the package {name} is not installed",
                why="it is needed",
                remedy=f"pip install '{name}{wanted}'",
            )
            continue
        if clause := unmet(version, wanted):
            yield error(
                f"{name} {version} is installed, and {clause} is needed",
                why="this version was not tested with it",
                remedy=f"pip install '{name}{wanted}'",
            )


def unmet(version: str, wanted: str) -> str:
    """Which of the clauses (`>=14,<16`) a version does not fulfil; empty: none. Knows what setup.cfg uses."""
    for clause in filter(None, wanted.split(",")):
        match = re.fullmatch(r"(>=|<=|==|!=|<|>)(.+)", clause)
        if match is None:
            continue
        length = max(len(_numbers(version)), len(_numbers(match[2])))
        have, limit = (_padded(_numbers(each), length) for each in (version, match[2]))
        met = {
            ">=": have >= limit,
            "<=": have <= limit,
            "==": have == limit,
            "!=": have != limit,
            "<": have < limit,
            ">": have > limit,
        }[match[1]]
        if not met:
            return clause
    return ""


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", re.split(r"[a-z+]", version, maxsplit=1)[0])]


def _padded(numbers: list[int], length: int) -> list[int]:
    return numbers + [0] * (length - len(numbers))


def _replaced(started_ticks: int) -> Iterator[Finding]:
    """Whether the program's files are newer than the gateway: an upgrade needs a restart."""
    ticks = started_ticks / os.sysconf("SC_CLK_TCK")
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks
    newest = max((path.stat().st_mtime for path in _PROGRAM.rglob("*.py")), default=0.0)
    if newest > began + _SLACK_S:
        yield warning(
            "the program's files are newer than the gateway that runs",
            why="an actor that is restarted, or a command, may not fit the rest",
            remedy="openclaw-actors stop, then start",
        )
