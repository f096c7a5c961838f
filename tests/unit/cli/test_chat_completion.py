"""Checks what Tab offers."""

from __future__ import annotations

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from openclaw_actors.cli.chat_completion import ChatCompleter

NAMES = ["main", "Garden plans", "plans"]
COMPLETER = ChatCompleter(["/stop", "/status", "/switch"], lambda: NAMES)


def offered(text: str) -> list[str]:
    """What the line becomes by each of the offers."""
    completions = COMPLETER.get_completions(Document(text), CompleteEvent(completion_requested=True))
    return [text[: len(text) + each.start_position] + each.text for each in completions]


def test_the_beginning_of_a_command() -> None:
    assert offered("/st") == ["/status ", "/stop "]
    assert offered("/") == ["/status ", "/stop ", "/switch "]
    assert offered("/x") == []


def test_names_that_begin_so_come_before_those_that_hold_it() -> None:
    assert offered("/switch plan") == ["/switch plans", "/switch Garden plans"]
    assert offered("/switch ") == ["/switch main", "/switch Garden plans", "/switch plans"]
    assert offered("/session ma") == ["/session main"]


def test_nothing_else_is_completed() -> None:
    assert offered("hello /st") == []
    assert offered("/model x") == []
    assert offered("//st") == []
