"""Decides where a long text is divided into messages.

Lengths are counted in UTF-16 code units: a text has at least as many of them as of anything else that Twilio may count.
"""

from __future__ import annotations

import unicodedata

__all__ = ["end_of_part"]

_ZERO_WIDTH_JOINER = "\u200d"
_LONGEST_CLUSTER = 64
"""Code points; a longer run of marks is divided all the same."""


def end_of_part(text: str, start: int, longest: int) -> int:
    """Where the part that begins at `start` ends, in code points; the text's end if the rest of it fits.

    It ends behind a word where there is one in its second half, and never within what is seen as one character. White
    space at its beginning and end does not count: it is not sent.

    Args:
        longest: of the part, in UTF-16 code units; at least 2.
    """
    while start < len(text) and text[start].isspace():
        start += 1
    units, hard = 0, start
    while hard < len(text):
        units += 2 if text[hard] > "\uffff" else 1
        if units > longest:
            break
        hard += 1
    if not text[hard:].strip():
        return len(text)
    soft = _behind_a_word(text, start + (hard - start) // 2, hard)
    return soft if soft is not None else _between_characters(text, start, hard)


def _behind_a_word(text: str, first: int, last: int) -> int | None:
    for index in range(last, first, -1):
        if text[index].isspace():
            return index
    return None


def _between_characters(text: str, start: int, hard: int) -> int:
    for index in range(hard, max(start, hard - _LONGEST_CLUSTER), -1):
        if not _belong_together(text, index):
            return index
    return hard


def _belong_together(text: str, index: int) -> bool:
    """Whether the characters before and behind this place are seen as one."""
    before, behind = text[index - 1], text[index]
    if _ZERO_WIDTH_JOINER in (before, behind) or unicodedata.category(behind).startswith("M"):
        return True
    if "\U0001f3fb" <= behind <= "\U0001f3ff":  # colours of skin
        return True
    if _is_flag_half(before) and _is_flag_half(behind):
        first = index
        while first and _is_flag_half(text[first - 1]):
            first -= 1
        return (index - first) % 2 == 1
    return False


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
