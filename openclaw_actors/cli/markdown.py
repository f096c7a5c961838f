"""Decides how a line of an answer that is Markdown looks on a terminal. Pure; a line at a time, so nothing waits."""

from __future__ import annotations

__all__ = ["MarkdownLines"]

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from openclaw_actors.cli.plain import clean

_RESET = "\x1b[0m"
_BOLD, _DIM, _ITALIC, _UNDERLINE, _STRUCK = "1", "2", "3", "4", "9"
_CYAN, _BLUE = "36", "34"
_COLOURS = frozenset((_CYAN, _BLUE))
_MARKS = {"strong": _BOLD, "em": _ITALIC, "s": _STRUCK, "link": _UNDERLINE}

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`]*)$")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_QUOTE = re.compile(r"( {0,3}>[ \t]?)(.*)$")
_ITEM = re.compile(r"([ \t]*)([-*+]|\d{1,9}[.)])([ \t]+)(.*)$")
_TABLE = re.compile(r"[ \t]*\|")
_INDENTED = re.compile(r"[ \t]*")
_MOST_CHARS = 4_000
"""A longer line is no prose: it is shown as it is, for some of its like would take long to be understood."""

_RULE_TEXT = "─" * 20


class MarkdownLines:
    """The lines of one answer after the other. What it knows of earlier lines is whether they have begun a code block.

    Args:
        coloured: use colours, too; else only what is bold, dim, italic or underlined.
    """

    def __init__(self, *, coloured: bool = True) -> None:
        self._coloured = coloured
        self._fence = ""
        self._inline = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")

    def begin(self) -> None:
        """The next line is an answer's first."""
        self._fence = ""

    def styled(self, line: str) -> str:
        """The line as it is written; without its styles it has the same words.

        Args:
            line: without its end, and without anything that a terminal would obey.
        """
        if (fence := _FENCE.match(line)) is not None and self._is_fence(fence):
            return self._in(_DIM, line)
        if self._fence:
            return self._in(_CYAN, line)
        if not line or line.isspace() or len(line) > _MOST_CHARS or _TABLE.match(line):
            return line
        if (heading := _HEADING.match(line)) is not None:
            return self._inline_text(heading[1], _BOLD)
        if _RULE.match(line):
            return self._in(_DIM, _RULE_TEXT)
        return self._block(line)

    def _is_fence(self, fence: re.Match[str]) -> bool:
        """Whether a code block begins or ends with it; inside of one it may be text."""
        marker, rest = fence[1], fence[2].strip()
        if not self._fence:
            self._fence = marker
            return True
        if marker[0] != self._fence[0] or len(marker) < len(self._fence) or rest:
            return False
        self._fence = ""
        return True

    def _block(self, line: str) -> str:
        if (quote := _QUOTE.match(line)) is not None:
            return self._in(_DIM, "│ ") + (self._block(quote[2]) if quote[2] else "")
        if (item := _ITEM.match(line)) is not None:
            indent, mark, gap, rest = item.groups()
            return f"{indent}{'•' if mark in '-*+' else mark}{gap}{self._inline_text(rest)}"
        indented = _INDENTED.match(line)
        indent = indented[0] if indented is not None else ""
        return indent + self._inline_text(line[len(indent) :])

    def _inline_text(self, text: str, *styles: str) -> str:
        (inline,) = self._inline.parseInline(text)
        return "".join(self._pieces(inline.children or [], list(styles)))

    def _pieces(self, tokens: list[Token], styles: list[str]) -> Iterator[str]:
        link, words = None, ""
        for token in tokens:
            kind, _, edge = token.type.rpartition("_")
            if edge == "open":
                styles.append(_MARKS.get(kind, ""))
                if kind == "link":
                    link, words = token, ""
            elif edge == "close":
                styles.pop()
                if kind == "link" and link is not None:
                    yield self._address(link, "href", words)
            elif edge == "softbreak" or edge == "hardbreak":
                yield " "
            else:
                words += token.content
                yield self._in([*styles, _CYAN] if token.type == "code_inline" else styles, token.content)
                if token.type == "image":
                    yield self._address(token, "src", token.content)

    def _address(self, token: Token, name: str, text: str) -> str:
        address = str(token.attrGet(name) or "")
        return f" {self._in(_DIM, f'({address})')}" if address and address != text else ""

    def _in(self, styles: str | list[str], text: str) -> str:
        wanted = [
            each
            for each in ([styles] if isinstance(styles, str) else styles)
            if each and (self._coloured or each not in _COLOURS)
        ]
        # Once more: an entity such as &#27; has become a character only now.
        text = clean(text)
        return f"\x1b[{';'.join(wanted)}m{text}{_RESET}" if wanted and text else text
