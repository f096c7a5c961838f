"""Checks that a tool call is a line in the conversation, and can be seen whole."""

from __future__ import annotations

from openclaw_actors.cli.effects import ToolBegan, ToolEnded
from openclaw_actors.cli.tool_log import MOST_CALLS, MOST_CHARS, ToolLog


def began(call_id: str = "a", arguments: str = "{}") -> ToolBegan:
    return ToolBegan(call_id=call_id, name="read_file", arguments=arguments, mine=True)


def ended(call_id: str = "a", status: str = "ok", text: str = "") -> ToolEnded:
    return ToolEnded(call_id=call_id, name="read_file", status=status, text=text, mine=True)


def test_a_call_is_folded_to_a_line_and_its_result_to_another() -> None:
    log = ToolLog()
    assert log.began(began(arguments='{\n "path": "a"}')) == '[1 read_file { "path": "a"}]'
    assert log.ended(ended(text="line one\nline two")) == "[1 line one line two]"
    assert log.show("1") == 'tool call 1: read_file\n{\n "path": "a"}\nok:\nline one\nline two'


def test_a_result_without_a_word_has_no_line_and_a_failure_says_what_it_was() -> None:
    log = ToolLog()
    log.began(began("a"))
    log.began(began("b"))
    assert log.ended(ended("a")) == ""
    assert log.ended(ended("b", status="denied", text="not now")) == "[2 denied: not now]"
    assert log.ended(ended("unknown", status="error")) == "[read_file: error]"


def test_what_is_asked_for_is_the_newest_or_the_one_with_the_number() -> None:
    log = ToolLog()
    assert "no tool has run" in log.show("")
    log.began(began("a", "first"))
    log.began(began("b", "second"))
    assert "second" in log.show("")
    assert "first" in log.show("1")
    assert log.show("b") == "/tool needs the number of a call, 1 to 2: 'b' is none"
    assert "has not ended" in log.show("2")


def test_a_call_that_is_replayed_keeps_its_number() -> None:
    log = ToolLog()
    log.began(began("a"))
    assert log.began(began("a")).startswith("[1 ")
    assert log.began(began("b")).startswith("[2 ")


def test_it_keeps_so_many_and_of_each_so_much() -> None:
    log = ToolLog()
    for number in range(MOST_CALLS + 1):
        log.began(began(str(number), "x" * (MOST_CHARS + 1_000)))
    assert log.show("1").startswith("/tool needs the number of a call, 2 to")
    assert "(… 1,000 characters more)" in log.show("2")


def test_a_name_of_the_models_moves_no_cursor() -> None:
    log = ToolLog()
    evil = ToolBegan(call_id="a", name="\x1b[2Jx\n", arguments="{}", mine=True)
    assert "\x1b" not in log.began(evil) + log.show("1")
