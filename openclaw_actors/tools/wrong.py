"""Says what is wrong with the arguments of a call: the field, what it holds, and what it may hold."""

from __future__ import annotations

import re

import msgspec

from openclaw_actors.tools.base import Arguments, schema_of

__all__ = ["what_is_wrong"]

_FIELD = re.compile(r"`\$\.(\w+)`")
_UNKNOWN = re.compile(r"unknown field `")
_MOST_SHOWN_CHARS = 80


def what_is_wrong(problem: Exception, arguments: str, wanted: type[Arguments]) -> str:
    """The problem in words for the model.

    Args:
        problem: as msgspec has it.
        arguments: what was given, as JSON text.
        wanted: what it should have been.
    """
    said = str(problem)
    fields = schema_of(wanted)["properties"]
    assert isinstance(fields, dict)
    if _UNKNOWN.search(said):
        return f"{said}; allowed are {', '.join(fields)}"
    match = _FIELD.search(said)
    if match is None or match[1] not in fields:
        return said
    allowed = fields[match[1]].get("enum")
    if allowed is not None:
        return f"{said}; allowed are {', '.join(map(str, allowed))}"
    return f"{said}; it is {_shown(arguments, match[1])}"


def _shown(arguments: str, field: str) -> str:
    try:
        value = msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])[field]
    except (msgspec.MsgspecError, UnicodeError, KeyError):
        return "something else"
    text = bytes(value).decode(errors="replace")
    return text if len(text) <= _MOST_SHOWN_CHARS else f"{text[:_MOST_SHOWN_CHARS]}… ({len(text)} characters)"
