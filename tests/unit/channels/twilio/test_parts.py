from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.channels.twilio.parts import end_of_part


def parts(text: str, longest: int) -> list[str]:
    found, start = [], 0
    while text[start:].strip():
        end = end_of_part(text, start, longest)
        assert end > start
        found.append(text[start:end].strip())
        start = end
    return found


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_a_text_that_fits_is_one_part() -> None:
    assert parts("hello world", 11) == ["hello world"]
    assert parts("  hello world \n ", 11) == ["hello world"]


def test_a_text_is_divided_behind_a_word() -> None:
    assert parts("hello big world", 11) == ["hello big", "world"]
    assert parts("hello world again", 11) == ["hello world", "again"]


def test_a_word_that_is_too_long_is_divided_where_the_part_is_full() -> None:
    assert parts("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert parts("a " + "x" * 25, 10) == ["a xxxxxxxx", "x" * 10, "x" * 7]


def test_four_thousand_characters_are_three_parts() -> None:
    text = "word " * 800
    found = parts(text, 1_600)
    assert len(found) == 3
    assert " ".join(found) == text.strip()


def test_what_is_seen_as_one_character_stays_whole() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    flags = "\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea"
    for cluster in ("e\u0301", "\U0001f44d\U0001f3fd", family, "\u2764\ufe0f", flags[:2]):
        for room in range(1, units(cluster)):
            text = "x" * 20 + cluster + "y" * 5
            assert parts(text, 20 + room) == ["x" * 20, cluster + "y" * 5]
    assert parts("x" * 20 + flags, 24) == ["x" * 20 + flags[:2], flags[2:]]


def test_a_run_of_marks_that_never_ends_is_divided_all_the_same() -> None:
    assert "".join(parts("e" + "\u0301" * 500, 100)) == "e" + "\u0301" * 500


@given(st.text(max_size=300), st.integers(2, 50))
def test_nothing_but_white_space_is_lost_and_no_part_is_too_long(text: str, longest: int) -> None:
    found = parts(text, longest)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(part and units(part) <= longest for part in found)
