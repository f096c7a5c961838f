"""Decides whether the variables of a path, a query and a body are what an operation takes."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from openclaw_actors.channels.http.declaring import Input
from openclaw_actors.config.checks import describe, kind_of
from openclaw_actors.config.problems import shown

__all__ = ["BadInput", "read_body", "read_path", "read_query"]

_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")
_NAME_CHARS = 64

T = TypeVar("T", bound=Input)


class BadInput(Exception):
    """Raised when a request says something that its operation does not take.

    Args:
        code: `bad_field`, or `bad_json` where the body is none.
        text: one sentence: the field, what it must be, and what stood there.
        field: what it is about; None: the body as a whole.
    """

    def __init__(self, code: str, text: str, field: str | None = None) -> None:
        super().__init__(code, text, field)
        self.code = code
        self.text = text
        self.field = field


def read_path(variables: Mapping[str, str], kind: type[T]) -> T:
    """The variables of a path, decoded. Raises BadInput."""
    return _from_texts(list(variables.items()), kind)


def read_query(pairs: Iterable[tuple[str, str]], kind: type[T] | None) -> T | None:
    """The query's parameters, each at most once.

    Args:
        pairs: name and value of each, decoded.
        kind: None: none are taken.

    Raises:
        BadInput: one is unknown, stands there twice, or is not what it must be.
    """
    if kind is not None:
        return _from_texts(list(pairs), kind)
    for name, _ in pairs:
        raise BadInput("bad_field", f"{_short(name)} is not a parameter; there are none here.", _short(name))
    return None


def read_body(data: bytes, kind: type[T]) -> T:
    """The JSON object of a body; nothing at all stands for an empty object.

    Raises:
        BadInput: it is no JSON, no object, or has a field that is not what it must be.
    """
    try:
        raw = msgspec.json.decode(data) if data.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput("bad_json", f"The body is not JSON: {problem}.") from None
    except RecursionError:
        raise BadInput("bad_json", "The body is nested too deeply.") from None
    if not isinstance(raw, dict):
        raise BadInput("bad_json", f"The body must be a JSON object (got {shown(raw)}).")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as problem:
        raise _explained(str(problem), raw, kind) from None


def _from_texts(pairs: list[tuple[str, str]], kind: type[T]) -> T:
    fields = _fields(kind)
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name not in fields:
            raise _unknown(name, fields, "parameter")
        if name in values:
            raise BadInput("bad_field", f"{name} stands there more than once.", name)
        values[name] = _value(text, fields[name], _annotations(kind)[name])
    for name, field in fields.items():
        if field.required and name not in values:
            raise BadInput("bad_field", f"{name} is missing; it must be {_allowed(field.type)}.", name)
    return msgspec.convert(values, kind)


def _value(text: str, field: inspect.Field, annotation: Any) -> Any:
    """A text as the field's type. Numbers and truth values are as in JSON; a text is taken as it stands."""
    name = field.encode_name
    inner = kind_of(field.type).type
    value: Any = text
    if isinstance(inner, inspect.IntType | inspect.FloatType | inspect.BoolType):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise _not_allowed(name, text, field.type) from None
    try:
        return msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        raise _not_allowed(name, text, field.type) from None


def _explained(problem: str, raw: object, kind: type[Input]) -> BadInput:
    """The error of a body: msgspec's own words tell where; which type stands there tells what is allowed."""
    at = _AT.search(problem)
    path = at["path"] if at is not None else ""
    if named := _NAMED.match(problem):
        field = f"{path}.{named['name']}" if path else named["name"]
        if named["what"] == "contains unknown":
            return _unknown(field, _fields(kind) if not path else {}, "field")
        return BadInput("bad_field", f"{_short(field)} is missing.", _short(field))
    known = _fields(kind).get(path)
    if known is not None and isinstance(raw, dict):
        return _not_allowed(path, raw.get(path), known.type)
    what = problem[: at.start()] if at is not None else problem
    return BadInput("bad_field", f"{_short(path) or 'The body'}: {what}.", _short(path) or None)


def _not_allowed(name: str, value: object, wanted: inspect.Type) -> BadInput:
    return BadInput("bad_field", f"{name} must be {_allowed(wanted)} (got {shown(value)}).", name)


def _unknown(name: str, fields: Iterable[str], what: str) -> BadInput:
    known = sorted(fields)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; the nearest is {near[0]}" if near else f"; there are {', '.join(known)}" if known else ""
    return BadInput("bad_field", f"{_short(name)} is not a {what}{hint}.", _short(name))


def _allowed(wanted: inspect.Type) -> str:
    """What a value may be, as the end of a sentence "… must be"."""
    kind = kind_of(wanted)
    text = kind.type
    if isinstance(text, inspect.StrType) and text.max_length is not None and not text.pattern:
        least = text.min_length or 0
        return f"a text of {f'{least} to' if least else 'at most'} {text.max_length} characters"
    return describe(kind)


def _short(name: str) -> str:
    """A name that somebody sent, fit for a message."""
    name = "".join(char if char.isprintable() else "?" for char in name[: _NAME_CHARS + 1])
    return name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "…"


@functools.cache
def _fields(kind: type[Input]) -> dict[str, inspect.Field]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: field for field in info.fields}


@functools.cache
def _annotations(kind: type[Input]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
