"""Decides which characters of foreign text may reach a terminal as they are. Pure."""

from __future__ import annotations

__all__ = ["clean", "is_text", "number_in", "one_line", "shortened"]

import unicodedata

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates, separators of lines. What joins emoji or spaces wide letters is none of them."""

_DIRECTION = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""These make text read in another order than it has."""

_KEPT = "\n\t"
_MOST_DIGITS = 9


def clean(text: str) -> str:
    """Text without what could move a terminal's cursor or change its state; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        _escaped(char) if char not in _KEPT and _is_harmful(char) else char
        for char in text.replace("\r\n", "\n")
    )


def one_line(text: str) -> str:
    """The same for a name, which has one line and no tabs."""
    return "".join(_escaped(char) if _is_harmful(char) else char for char in text)


def shortened(text: str, most: int) -> str:
    """The beginning of a text, on one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def number_in(text: str) -> int | None:
    """The number that a person wrote to choose something; None: it is no number, or one that nothing has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def is_text(text: str) -> bool:
    """Whether it can be sent: what was not UTF-8 when it was typed or read cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _is_harmful(char: str) -> bool:
    return char in _DIRECTION or unicodedata.category(char) in _ESCAPED_CATEGORIES


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
