"""Decides what each source contributes: checks its tree against the types, and puts the sources over each other."""

from __future__ import annotations

__all__ = ["MAX_PROBLEMS", "Layer", "Merged", "field_kind", "key_names", "nearest", "replacement"]

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import inspect

from openclaw_actors.config.checks import (
    Kind,
    describe,
    kind_of,
    normalised,
    problem_of_value,
    show_value,
)
from openclaw_actors.config.model import DERIVED, REPLACED, root_type
from openclaw_actors.config.problems import Problem, shown

KeyPath = tuple[str, ...]

MAX_PROBLEMS = 200
"""How many problems are told of; a file with more of them is no configuration at all."""


@functools.cache
def root_kind() -> Kind:
    """The type of the whole configuration, taken apart once."""
    return kind_of(root_type())


_FIELDS: dict[type, dict[str, Kind]] = {}


def _fields(kind: inspect.StructType) -> dict[str, Kind]:
    """The keys of a section; taken apart once, since every layer asks."""
    if kind.cls not in _FIELDS:
        _FIELDS[kind.cls] = {field.encode_name: kind_of(field.type) for field in kind.fields}
    return _FIELDS[kind.cls]


def field_kind(path: KeyPath) -> Kind | None:
    """Find the type of a key; None where there is no such key."""
    kind = root_kind()
    for part in path:
        if isinstance(kind.type, inspect.StructType):
            found = _fields(kind.type).get(part)
        elif isinstance(kind.type, inspect.DictType):
            found = kind_of(kind.type.value_type)
        else:
            found = None
        if found is None:
            return None
        kind = found
    return kind


@functools.cache
def key_names() -> tuple[str, ...]:
    """Every dotted key that has a fixed name, sections included."""

    def walk(kind: Kind, path: KeyPath) -> Iterator[str]:
        if path:
            yield ".".join(path)
        if isinstance(kind.type, inspect.StructType):
            for name, inner in _fields(kind.type).items():
                yield from walk(inner, (*path, name))

    return tuple(walk(root_kind(), ()))


def plain(text: str) -> str:
    """Fold the spellings of a key into one: MaxLive, max-live and max_live."""
    return text.replace("_", "").replace("-", "").lower()


_REPLACED = {plain(old): new for old, new in REPLACED.items()}


def replacement(key: str) -> str | None:
    """Name the key that does the work of one that was replaced, in whatever case that is written."""
    return _REPLACED.get(plain(key))


def nearest(path: KeyPath) -> str:
    """Name the known key that an unknown one most likely means."""

    wanted = plain(path[-1])
    section = ".".join(path[:-1])
    siblings = [name for name in key_names() if name.rpartition(".")[0] == section]
    for names in (siblings, key_names()):
        by_last = {plain(name.rpartition(".")[2]): name for name in reversed(names)}
        if wanted in by_last:
            return by_last[wanted]
    for names, cutoff in ((siblings, 0.6), (key_names(), 0.8), (siblings or key_names(), 0.0)):
        by_last = {plain(name.rpartition(".")[2]): name for name in reversed(names)}
        if close := difflib.get_close_matches(wanted, by_last, n=1, cutoff=cutoff):
            return by_last[close[0]]
    return ""


class Layer:
    """One source: its tree, and how to say where in it a key stands."""

    def __init__(self, tree: Mapping[str, Any], where: Callable[[KeyPath], str]) -> None:
        self.tree = tree
        self.where = where


class Merged:
    """What the sources add up to so far: good values, where each came from, and every problem."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[Problem] = []

    def add(self, layer: Layer) -> None:
        """Check a source and put its good values over what is there."""
        accepted = self._section(root_kind(), layer.tree, (), layer)
        _merge(self.tree, accepted)

    def bad(self, key: str) -> bool:
        """Whether a key, or something in it, has a problem already."""
        return any(each.key == key or each.key.startswith(key + ".") for each in self.problems)

    def _section(self, kind: Kind, raw: Mapping[str, Any], path: KeyPath, layer: Layer) -> dict[str, Any]:
        assert isinstance(kind.type, inspect.StructType)
        fields = _fields(kind.type)
        accepted: dict[str, Any] = {}
        for name, value in raw.items():
            at = (*path, str(name))
            if name in fields:
                self._into(accepted, at, fields[name], value, layer)
            else:
                self._unknown(at, layer, fields)
        return accepted

    def _into(self, accepted: dict[str, Any], at: KeyPath, kind: Kind, value: Any, layer: Layer) -> None:
        key = ".".join(at)
        if value is None and key in DERIVED:
            return
        match kind.type:
            case inspect.StructType() | inspect.DictType() if value is None:
                accepted[at[-1]] = {}
            case inspect.StructType() if isinstance(value, Mapping):
                accepted[at[-1]] = self._section(kind, value, at, layer)
            case inspect.DictType() if isinstance(value, Mapping):
                accepted[at[-1]] = self._mapping(kind, value, at, layer)
            case inspect.VarTupleType() if isinstance(value, list | tuple):
                for inside in [each for each in self.sources if each.startswith(f"{key}[")]:
                    del self.sources[inside]  # of the list that this one replaces
                accepted[at[-1]] = self._list(kind, value, at, layer)
                self.sources[key] = layer.where(at)
            case inspect.StructType() | inspect.DictType() | inspect.VarTupleType():
                # A container in a place where a secret could stand is never shown.
                self._problem(at, layer, allowed=describe(kind), value=type(value).__name__)
            case _:
                self._leaf(accepted, at, kind, value, layer)

    def _leaf(self, accepted: dict[str, Any], at: KeyPath, kind: Kind, value: Any, layer: Layer) -> None:
        value = normalised(kind, value)
        hint = problem_of_value(kind, value)
        if hint is None:
            accepted[at[-1]] = value
            self.sources[".".join(at)] = layer.where(at)
            return
        self._problem(at, layer, allowed=describe(kind), value=show_value(kind, value), hint=hint)

    def _mapping(self, kind: Kind, raw: Mapping[str, Any], path: KeyPath, layer: Layer) -> dict[str, Any]:
        assert isinstance(kind.type, inspect.DictType)
        name_kind, value_kind = kind_of(kind.type.key_type), kind_of(kind.type.value_type)
        accepted: dict[str, Any] = {}
        for name, value in raw.items():
            at = (*path, str(name))
            if problem_of_value(name_kind, name) is not None:
                self._problem(path, layer, allowed=f"named by {describe(name_kind)}", value=shown(name))
            else:
                self._into(accepted, at, value_kind, value, layer)
        return accepted

    def _list(self, kind: Kind, raw: Any, path: KeyPath, layer: Layer) -> list[Any]:
        assert isinstance(kind.type, inspect.VarTupleType)
        item_kind = kind_of(kind.type.item_type)
        accepted = []
        for index, value in enumerate(raw):
            if isinstance(item_kind.type, inspect.StructType):
                entry: dict[str, Any] = {}
                name = f"{path[-1]}[{index}]"
                self._into(entry, (*path[:-1], name), item_kind, value, layer)
                if name in entry:
                    accepted.append(entry[name])
                continue
            hint = problem_of_value(item_kind, value)
            if hint is None:
                accepted.append(value)
                continue
            at = (*path[:-1], f"{path[-1]}[{index}]")
            what, got = describe(item_kind), show_value(item_kind, value)
            self.problems.append(
                Problem(
                    kind="value",
                    key=".".join(at),
                    value=got,
                    allowed=what,
                    where=layer.where(path),
                    hint=hint,
                )
            )
        return accepted

    def _unknown(self, at: KeyPath, layer: Layer, siblings: Mapping[str, Kind]) -> None:
        key, where = ".".join(at), layer.where(at)
        if new := replacement(key):
            self.problems.append(Problem(kind="replaced", key=key, allowed=new, where=where))
            return
        if len(self.problems) > MAX_PROBLEMS:
            hint = ""  # nobody will see it, and looking for it takes a millisecond
        elif not at[:-1] and at[0].lower() == "openclaw":
            hint = "its keys stand at the top level"
        elif (section := ".".join(at[:-1])) and section not in key_names():
            # An entry of a list or a mapping, whose keys have no fixed names.
            (close,) = difflib.get_close_matches(at[-1], siblings, n=1, cutoff=0.0)
            hint = f"the nearest is {section}.{close}"
        else:
            hint = f"the nearest is {nearest(at)}"
        self.problems.append(Problem(kind="unknown", key=key, where=where, hint=hint))

    def _problem(
        self, at: KeyPath, layer: Layer, *, allowed: str, value: str | None = None, hint: str = ""
    ) -> None:
        where = layer.where(at)
        self.problems.append(
            Problem(kind="value", key=".".join(at), value=value, allowed=allowed, where=where, hint=hint)
        )


def _merge(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put one tree over another: mappings are merged, everything else, lists too, is replaced."""
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(name), dict):
            _merge(under[name], value)
        else:
            under[name] = value
