"""Checks which characters reach a terminal as they are."""

from __future__ import annotations

import pytest

from openclaw_actors.cli.plain import clean, is_text, one_line


def test_nothing_that_moves_the_cursor_stays() -> None:
    assert clean("a\x1b[2Jb\rc\x9bd\n\te\r\nf") == "a\\x1b[2Jb\\rc\\x9bd\n\te\nf"
    assert one_line("a\x1b[1Ab\nc\td") == "a\\x1b[1Ab\\nc\\td"


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u2028", "\x85", "\x7f", "\udcff"], ids=ascii)
def test_nothing_that_reorders_breaks_or_cannot_be_written_stays(char: str) -> None:
    for function in (clean, one_line):
        shown = function(f"a{char}b")
        assert char not in shown
        assert shown.encode().isascii()


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\u5168\u3000\u89d2",
        "10\xa0000\u202f%",
        "\u0645\u06cc\u200c\u062e",
        "e\u0301",
        "soft\xadhyphen",
        "\U0001f1e9\U0001f1ea",
        "\U0001fadf",
    ],
    ids=[
        "joined emoji",
        "wide space",
        "narrow spaces",
        "Persian",
        "combining",
        "hyphen",
        "flag",
        "newer than Python",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert clean(text) == text
    assert one_line(text) == text


def test_what_was_not_utf_8_cannot_be_sent() -> None:
    assert is_text("h\xe9llo \U0001f600")
    assert not is_text(b"h\xffllo".decode(errors="surrogateescape"))
