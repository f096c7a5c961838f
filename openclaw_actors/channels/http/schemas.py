"""Decides how types are described as JSON schemas: by `msgspec`, with what stands below each field in the source."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["Schemas", "properties"]

_REF = "#/components/schemas/{name}"
_PARAGRAPH = "\n\n"


class Schemas:
    """The JSON schemas of types, each once.

    Args:
        kinds: types that `msgspec` can encode; what they are made of is found.
    """

    def __init__(self, kinds: Iterable[Any]) -> None:
        wanted: list[Any] = []
        for kind in kinds:  # not a set: some types cannot be hashed
            if kind not in wanted:
                wanted.append(kind)
        found, self.components = msgspec.json.schema_components(wanted, ref_template=_REF)
        self._found = list(zip(wanted, found, strict=True))
        for kind in _structs(wanted):
            _describe(self.components[kind.__name__], kind)

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of one of the types, or a reference to it."""
        return next(schema for each, schema in self._found if each == kind)


def properties(kind: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """The schemas of the fields of a type that holds nothing but plain values."""
    _, components = msgspec.json.schema_components([kind], ref_template=_REF)
    found: dict[str, dict[str, Any]] = components[kind.__name__]["properties"]
    return found


def _structs(kinds: Iterable[Any]) -> list[type[msgspec.Struct]]:
    """All structs that types are made of."""
    found: list[type[msgspec.Struct]] = []

    def visit(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                return
            found.append(info.cls)
        for name in getattr(info, "__struct_fields__", ()):
            value = getattr(info, name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, msgspec.inspect.Type):
                    visit(each)
                elif isinstance(each, msgspec.inspect.Field):
                    visit(each.type)

    for info in msgspec.inspect.multi_type_info(kinds):
        visit(info)
    return found


def _describe(schema: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Add the texts of the fields, and of the type where it has one; a title says nothing that the name does not."""
    schema.pop("title", None)
    if "description" in schema:
        schema["description"] = schema["description"].partition(_PARAGRAPH)[0]
    texts = _field_texts(kind)
    for field in msgspec.structs.fields(kind):
        described = schema.get("properties", {}).get(field.encode_name)
        if described is not None and field.name in texts:
            described.setdefault("description", texts[field.name])


@functools.cache
def _field_texts(kind: type) -> dict[str, str]:
    """The text below each field, the first sentence-like paragraph of it; those of base classes included."""
    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each is msgspec.Struct or not issubclass(each, msgspec.Struct):
            continue
        body = _class_body(each)
        for node, below in itertools.pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                texts[node.target.id] = " ".join(below.value.value.split())
    return texts


def _class_body(kind: type) -> list[ast.stmt]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return []  # an installation without sources: the document has fewer words
    (found,) = ast.parse(source).body
    return found.body if isinstance(found, ast.ClassDef) else []
