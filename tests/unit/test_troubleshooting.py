"""docs/troubleshooting.md: what it says that the gateway says, the gateway says."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import openclaw_actors

DOCUMENT = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
SOURCES = Path(openclaw_actors.__file__).parent
TABLE = re.compile(r"^\| it says \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)


def quoted() -> list[str]:
    """What stands in the first column of the tables that begin with *it says*."""
    rows = [row for table in TABLE.findall(DOCUMENT.read_text()) for row in table.splitlines()]
    return [each for row in rows for each in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


@cache
def texts() -> str:
    """All that the program can say, a line each, with a gap for what is filled in."""
    found = []
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[a-z.\d]+|\{[^}]*\}", "…", node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(parts))
    return "\n".join(found)


def is_said(message: str) -> bool:
    """Whether one text of the program has all of this, with anything where it has a gap."""
    gap = r"[^\n]*?"
    pattern = gap.join(re.escape(piece.strip()) for piece in message.split("…") if piece.strip())
    return re.search(pattern, texts()) is not None


@pytest.mark.parametrize("message", quoted())
def test_the_gateway_says_so(message: str) -> None:
    assert is_said(message)


def test_what_nobody_says_is_found() -> None:
    assert len(quoted()) > 50
    assert is_said("port … is in use on …")
    assert not is_said("port … is taken on …")
