"""Functions do what they did when their code was laid together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType

from openclaw_actors.actorsystem.hotcode import code_run_by, lay_together


def maker(step: int) -> Callable[[int], int]:
    def add(value: int, *, twice: bool = False) -> int:
        return value + (2 * step if twice else step)

    return add


def idle() -> int:
    return 7


class Shape:
    sides = 4

    @property
    def corners(self) -> int:
        return sum(1 for _ in range(self.sides))


def test_what_a_call_runs_is_found_with_all_that_it_calls() -> None:
    ran = code_run_by(lambda: note(maker(1)(2), Shape().corners))

    names = {code.co_name for code in ran}
    assert {"maker", "add", "corners", "<genexpr>"} <= names
    assert "idle" not in names
    assert sys.getprofile() is None


def test_functions_with_copied_code_do_what_they_did() -> None:
    add, before = maker(3), idle.__code__
    ran = ours(code_run_by(lambda: note(add(1), maker(3), Shape().corners)))

    assert lay_together(ran) >= 3

    assert add(4, twice=True) == 10
    assert maker(5)(1) == 6
    assert Shape().corners == 4
    assert idle.__code__ is before, "what did not run stays where it is"


def test_a_function_gets_a_copy_also_where_only_what_it_makes_has_run() -> None:
    made = maker(1)
    outer, inner = maker.__code__, made.__code__

    lay_together(ours(code_run_by(lambda: note(made(1)))))

    assert maker.__code__ is not outer
    assert maker(1).__code__ is not inner, "what it makes from now on has a copy"
    assert made(1) == 2


def test_who_watches_already_goes_on_watching() -> None:
    seen: list[str] = []
    sys.setprofile(lambda frame, event, argument: seen.append(event))
    try:
        assert code_run_by(idle) == {}
    finally:
        sys.setprofile(None)
    assert seen


def note(*_values: object) -> None:
    """Makes one call of several."""


def ours(ran: dict[CodeType, str]) -> dict[CodeType, str]:
    return {code: module for code, module in ran.items() if code.co_filename == __file__}
