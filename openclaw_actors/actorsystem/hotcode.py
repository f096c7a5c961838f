"""Lays the code that a process runs all the time together in memory, before children are forked from it.

CPython counts references to a code object in the object itself, so each call writes on its page, and a forked process
copies it. Modules leave their code where they were imported: what runs is a tenth of it, on nearly every page.
"""

from __future__ import annotations

__all__ = ["code_run_by", "lay_together"]

import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType, FunctionType
from typing import Any


def code_run_by(run: Callable[[], None]) -> dict[CodeType, str]:
    """Run something, and return the code of all functions that it called, each with the name of its module.

    Nothing is found where a profiler watches already.
    """
    ran: dict[CodeType, str] = {}

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            ran[frame.f_code] = frame.f_globals.get("__name__", "")

    if sys.getprofile() is not None:
        run()
        return ran
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return ran


def lay_together(ran: Mapping[CodeType, str]) -> int:
    """Give each function that has this code, or makes one that has, a copy of it; the copies lie in a row.

    A copy is as new: what the interpreter had found out about the code has to be found out again. Functions are looked
    up by their names: to look at all that there are would write on the page of each.

    Returns:
        How many functions have a copy now.
    """
    copies: dict[CodeType, CodeType] = {}

    def copied(code: CodeType) -> CodeType:
        known = copies.get(code)
        if known is None:
            constants = tuple(
                copied(each) if isinstance(each, CodeType) and _concerned(each, ran) else each
                for each in code.co_consts
            )
            known = copies[code] = code.replace(co_consts=constants)
        return known

    found: dict[int, FunctionType] = {}
    for code, module in ran.items():
        for function in _functions(module, code.co_qualname):
            if _concerned(function.__code__, ran):
                found[id(function)] = function
    for function in found.values():
        function.__code__ = copied(function.__code__)
    return len(found)


def _concerned(code: CodeType, ran: Mapping[CodeType, str]) -> bool:
    return code in ran or any(_concerned(each, ran) for each in code.co_consts if isinstance(each, CodeType))


def _functions(module: str, qualified_name: str) -> Iterator[FunctionType]:
    """Those that stand under a name in a module; of a function that another makes, the other."""
    found: Any = sys.modules.get(module)
    for name in qualified_name.partition(".<locals>")[0].split("."):
        found = getattr(found, "__dict__", {}).get(name)
    yield from _within(found)


def _within(found: Any) -> Iterator[FunctionType]:
    """The functions behind a property, a method of a class, or a wrapper."""
    if isinstance(found, FunctionType):
        yield found
    parts = (
        getattr(found, name, None) for name in ("__func__", "fget", "fset", "fdel", "func", "__wrapped__")
    )
    for part in parts:
        if part is not None and part is not found:
            yield from _within(part)
