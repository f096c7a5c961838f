"""Owns what can be wrong with a configuration: the facts first, their wording last."""

from __future__ import annotations

__all__ = ["Problem", "explain", "shown"]

import json
import re
from typing import Literal

import msgspec

_SHOWN_CHARS = 80
_KEY_CHARS = 160
_RAW = re.compile(r"(?is)(raw:).*")

Kind = Literal["file", "syntax", "duplicate", "unknown", "replaced", "value", "secret", "rule", "more"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, as data."""

    kind: Kind
    key: str = ""
    """The dotted path of the key; empty where the whole file is meant."""
    value: str | None = None
    """What stood there, already shortened, and masked where it could be a secret."""
    allowed: str = ""
    """What may stand there, or, for a file, what is wrong with it."""
    where: str = ""
    """The file and line, the environment variable, or the command line."""
    hint: str = ""
    """What to do."""

    def __str__(self) -> str:
        return explain(self)


def shown(value: object) -> str:
    """Make a value fit for a message: as YAML would write it, on one line, at most 80 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def explain(problem: Problem) -> str:
    """Put one problem into one line of English, whatever the file or its name holds."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in _sentence(problem))


def _sentence(problem: Problem) -> str:
    key = _RAW.sub(r"\1***", problem.key)  # where a colon is missing, a value has become part of a key
    key = key if len(key) <= _KEY_CHARS else key[: _KEY_CHARS - 1] + "…"
    end = (f"; {problem.hint}" if problem.hint else "") + (f" [{problem.where}]" if problem.where else "")
    match problem.kind:
        case "file" | "syntax":
            return f"{problem.where}: {problem.allowed}" + (f"; {problem.hint}" if problem.hint else "")
        case "more":
            return f"and {problem.allowed} more problems"
        case "duplicate":
            return f"{key} stands there more than once{end}"
        case "unknown":
            return f"{key or '(nothing)'} is not a key{end}"
        case "replaced":
            return f"{key} was replaced by {problem.allowed}{end}"
        case _:
            got = "" if problem.value is None else f" (got {problem.value})"
            return f"{key} must be {problem.allowed}{got}{end}"
