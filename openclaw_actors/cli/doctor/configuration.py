"""Looks at the configuration: every problem and every warning of it."""

from __future__ import annotations

__all__ = ["look"]

from collections.abc import Iterator

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, ok, warning
from openclaw_actors.config import Problem
from openclaw_actors.config.layers import field_kind

_WHY_ERROR = "start refuses it"
_WHY_ELSEWHERE = "the running gateway has what it needs, but a start from this shell is refused"


async def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    return _findings(context)


def _findings(context: Context) -> Iterator[Finding]:
    for problem in context.problems:
        # Secrets stand in the environment of the service, and seldom in that of the person who looks after it.
        elsewhere = context.record is not None and _is_missing_secret(problem)
        make = warning if elsewhere else error
        yield make(
            str(problem), why=_WHY_ELSEWHERE if elsewhere else _WHY_ERROR, remedy=_remedy(problem, context)
        )
    for text in context.warnings:
        yield warning(text, why="it is not what whoever wrote it expects", remedy=f"edit {_place(context)}")
    if not context.problems:
        yield ok(f"{_place(context)} can be used")


def _is_missing_secret(problem: Problem) -> bool:
    if problem.kind == "secret":
        return True
    kind = field_kind(tuple(problem.key.split(".")))
    return problem.kind == "rule" and problem.value is None and kind is not None and kind.secret


def _remedy(problem: Problem, context: Context) -> str:
    if problem.hint:
        return problem.hint
    if problem.kind in ("file", "syntax"):
        return f"mend {problem.where or _place(context)}"
    if problem.kind == "unknown":
        return f"take {problem.key} out of {problem.where or _place(context)}"
    if problem.kind == "replaced":
        return f"write {problem.allowed} instead"
    return f"set {problem.key or 'it'} in {problem.where or _place(context)}"


def _place(context: Context) -> str:
    return str(context.file) if context.file is not None else "the configuration (no file, built-in defaults)"
