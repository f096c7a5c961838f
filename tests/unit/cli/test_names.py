"""Checks what is said of a name that nobody has."""

from __future__ import annotations

from openclaw_actors.cli.names import SHOWN, nobody_is_called


def said(name: str, *known: str) -> str:
    return str(nobody_is_called("session", name, known, more="sessions list"))


def test_the_likeliest_come_first() -> None:
    assert said("main", "x", "a:main").endswith("there are a:main, x")
    assert said("modle", "router", "model").endswith("there are model, router")


def test_not_all_of_very_many_are_named() -> None:
    text = said("z", *(f"s{number}" for number in range(SHOWN + 3)))
    assert text.endswith(f"s{SHOWN - 1} and 3 more, see 'sessions list'")


def test_nobody_at_all_and_names_that_move_the_cursor() -> None:
    assert said("a") == "there is no session 'a', and no other"
    assert "\x1b" not in said("\x1b[2J", "b\x1b[2J")
