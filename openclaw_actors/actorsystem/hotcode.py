"""Lays the code that a process runs all the time together in memory, before children are forked from it.

CPython counts references to a code object in the object itself, so each call writes on its page, and a forked process
copies it. Modules leave their code where they were imported: what runs is a tenth of it, on nearly every page.
"""

from __future__ import annotations

__all__ = ["code_run_by", "lay_together"]

import gc
import sys
from collections.abc import Callable, Iterator, Set
from types import CodeType, FrameType, FunctionType
from typing import Any


def code_run_by(run: Callable[[], None]) -> set[CodeType]:
    """Run something, and return the code of all functions that it called; none where a profiler watches already."""
    ran: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            ran.add(frame.f_code)

    if sys.getprofile() is not None:
        run()
        return ran
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return ran


def lay_together(ran: Set[CodeType]) -> int:
    """Give each function that has this code, or makes one that has, a copy of it; the copies lie in a row.

    A copy is as new: what the interpreter had found out about the code has to be found out again.

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

    found = [each for each in _functions() if _concerned(each.__code__, ran)]
    for each in found:
        each.__code__ = copied(each.__code__)
    return len(found)


def _concerned(code: CodeType, ran: Set[CodeType]) -> bool:
    return code in ran or any(_concerned(each, ran) for each in code.co_consts if isinstance(each, CodeType))


def _functions() -> Iterator[FunctionType]:
    """All that there are; the collector does not show those that were frozen."""
    collects = gc.isenabled()
    gc.disable()
    gc.unfreeze()
    try:
        yield from [each for each in gc.get_objects() if isinstance(each, FunctionType)]
    finally:
        gc.freeze()
        if collects:
            gc.enable()
