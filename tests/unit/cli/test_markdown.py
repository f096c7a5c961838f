"""Checks how the lines of an answer look on a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.cli.markdown import MarkdownLines
from openclaw_actors.cli.plain import clean

_STYLES = re.compile(r"\x1b\[[0-9;]*m")


def styled(*lines: str, coloured: bool = True) -> list[str]:
    """The lines, with a style as `<1;36>` and its end as `</>`."""
    markdown = MarkdownLines(coloured=coloured)
    written = [markdown.styled(line) for line in lines]
    return [
        _STYLES.sub(lambda code: "</>" if code[0] == "\x1b[0m" else f"<{code[0][2:-1]}>", line)
        for line in written
    ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain text", "plain text"),
        ("# A heading", "<1>A heading</>"),
        ("### With `code` ##", "<1>With </><1;36>code</>"),
        ("some **bold** and *slanted* words", "some <1>bold</> and <3>slanted</> words"),
        ("***both***", "<3;1>both</>"),
        ("run `make test` now", "run <36>make test</> now"),
        ("~~gone~~", "<9>gone</>"),
        ("- an item", "• an item"),
        ("  * a **nested** one", "  • a <1>nested</> one"),
        ("12. twelfth", "12. twelfth"),
        ("> said", "<2>│ </>said"),
        ("> > twice", "<2>│ </><2>│ </>twice"),
        (">", "<2>│ </>"),
        ("---", f"<2>{'─' * 20}</>"),
        ("see [the page](https://a.example/x)", "see <4>the page</> <2>(https://a.example/x)</>"),
        ("see <https://a.example>", "see <4>https://a.example</>"),
        ("![a cat](cat.png)", "a cat <2>(cat.png)</>"),
        ("| a | **b** |", "| a | **b** |"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        ("a \\*star\\*", "a *star*"),
        ("<b>no HTML</b>", "<b>no HTML</b>"),
        ("an **unfinished", "an **unfinished"),
        ("    indented", "    indented"),
        ("", ""),
    ],
)
def test_a_line(line: str, shown: str) -> None:
    assert styled(line) == [shown]


def test_in_a_code_block_nothing_is_markup() -> None:
    assert styled("```python", "# no *heading*", "~~~", "", "```", "**bold**") == [
        "<2>```python</>",
        "<36># no *heading*</>",
        "<36>~~~</>",
        "",
        "<2>```</>",
        "<1>bold</>",
    ]


def test_a_longer_fence_holds_shorter_ones() -> None:
    assert styled("````", "```", "````", "x")[1:] == ["<36>```</>", "<2>````</>", "x"]


def test_the_next_answer_begins_outside_of_a_code_block() -> None:
    markdown = MarkdownLines()
    markdown.styled("```")
    markdown.begin()
    assert markdown.styled("*x*") == "\x1b[3mx\x1b[0m"


def test_without_colours_what_is_bold_stays_bold() -> None:
    assert styled("**bold** `code`", "```", "code", coloured=False) == [
        "<1>bold</> code",
        "<2>```</>",
        "code",
    ]


@pytest.mark.parametrize(
    "line", ["&#27;[2J", "**&#x1b;]0;title&#7;**", "[x](a&#27;[2Jb)", "`&#27;`", "&#x202e;abc"]
)
def test_no_character_that_a_terminal_obeys_comes_of_an_entity(line: str) -> None:
    left = _STYLES.sub("", MarkdownLines().styled(line))
    assert left == clean(left)
    assert "\x1b" not in left


@given(st.lists(st.text(alphabet="ab *_`~#>-|[]()!<&;1.\\\té漢", max_size=30), max_size=6))
def test_every_word_of_an_answer_is_there_in_its_order(lines: list[str]) -> None:
    """What disappears is markup: no letter does, but of an address that is its own text, and none is added."""
    markdown = MarkdownLines()
    for line in lines:
        shown = _STYLES.sub("", markdown.styled(line))
        letters = [char for char in line if char in "abé漢"]
        assert "\n" not in shown
        if "(" not in line and "<" not in line and "&" not in line:
            assert [char for char in shown if char in "abé漢"] == letters


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_whatever_the_line_is_only_styles_are_added(text: str) -> None:
    line = clean(text).split("\n")[0]
    shown = _STYLES.sub("", MarkdownLines().styled(line))
    assert clean(shown) == shown
