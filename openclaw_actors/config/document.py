"""Owns the reading of a YAML document that may be hostile: limits, duplicate keys, and the line of every key."""

from __future__ import annotations

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Document",
    "parse_document",
    "parse_value",
    "state_dir_in",
]

import re
from collections.abc import Hashable
from typing import Any

import msgspec
import yaml

from openclaw_actors.config.problems import Problem, shown

MAX_BYTES = 1_048_576
MAX_DEPTH = 32
MAX_NODES = 50_000
"""How many values a document may hold, those that aliases repeat included."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_MERGE_TAG = f"{_TAG}merge"
_PLAIN_TAGS: dict[type[yaml.Node], frozenset[str]] = {
    yaml.MappingNode: frozenset({f"{_TAG}map"}),
    yaml.SequenceNode: frozenset({f"{_TAG}seq"}),
    yaml.ScalarNode: frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp")),
}
KeyPath = tuple[str, ...]
_STATE_DIR = re.compile(rb"(?m)^[\"']?state_dir[\"']?:[ \t]+([^\r\n]{1,4096})")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says, and where it says it."""

    tree: dict[str, Any]
    lines: dict[KeyPath, int]
    problems: tuple[Problem, ...]


class _Refused(Exception):
    """Raised inside this module when a document breaks a limit."""

    def __init__(self, text: str, line: int | None) -> None:
        super().__init__(text)
        self.line = line


def parse_document(data: bytes, *, where: str) -> Document:
    """Parse a configuration file.

    Args:
        data: its bytes, at most `MAX_BYTES` of them.
        where: how messages name it.
    """
    try:
        node = _compose(_decode(data))
        builder = _Builder(where)
        tree = {} if node is None else builder.mapping_at_top(node)
    except _Refused as refused:
        place = where if refused.line is None else f"{where}:{refused.line}"
        problem = Problem(kind="syntax", where=place, allowed=str(refused))
        return Document(tree={}, lines={}, problems=(problem,))
    return Document(tree=tree, lines=builder.lines, problems=tuple(builder.problems))


def parse_value(text: str) -> Any:
    """Parse one YAML value, such as stands in an environment variable.

    Raises:
        ValueError: it is not YAML, or breaks a limit.
    """
    try:
        node = _compose(text)
        builder = _Builder("")
        value = None if node is None else builder.value(node, ())
    except _Refused as refused:
        raise ValueError(str(refused)) from None
    if builder.problems:
        raise ValueError(str(builder.problems[0]))
    return value


def state_dir_in(data: bytes) -> dict[str, Any]:
    """Find the line of `state_dir` in a file that is no YAML: whose state it is meant for can be known."""
    found = _STATE_DIR.search(data[:MAX_BYTES])
    if found is None:
        return {}
    try:
        value = parse_value(found[1].decode())
    except ValueError:
        return {}
    return {"state_dir": value} if isinstance(value, str) and value.strip() and value.isprintable() else {}


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _Refused(f"the file is larger than {MAX_BYTES} bytes", None)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Refused("the file is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None


def _compose(text: str) -> yaml.Node | None:
    """Check the limits on the flat stream of events, and only then build the tree of nodes."""
    try:
        _check_events(text)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        # Not str(error): it quotes the text around the place, which may hold a secret.
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise _Refused(f"this is not YAML: {error.problem or error.context}", line) from None
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else None
        raise _Refused("this is not YAML: a character that is not allowed", line) from None
    if node is not None:
        _expanded_size(node, {}, set())
    return node


def _check_events(text: str) -> None:
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if depth > MAX_DEPTH:
            raise _Refused(f"this is nested deeper than {MAX_DEPTH} levels", line)
        if count > 3 * MAX_NODES:
            raise _Refused(f"this holds more than {MAX_NODES} values", line)
        if documents > 1:
            raise _Refused("there is more than one document in the file", line)


def _expanded_size(node: yaml.Node, known: dict[int, int], open_nodes: set[int]) -> int:
    """Count the values below a node as if every alias were written out; refuse too many, and loops."""
    mark = id(node)
    if mark in known:
        return known[mark]
    line = node.start_mark.line + 1
    if mark in open_nodes:
        raise _Refused("an alias contains itself", line)
    open_nodes.add(mark)
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    if len(open_nodes) > MAX_DEPTH + 1:
        raise _Refused(f"this is nested deeper than {MAX_DEPTH} levels", line)
    size = 1 + sum(_expanded_size(child, known, open_nodes) for child in children)
    if size > MAX_NODES:
        raise _Refused(f"this holds more than {MAX_NODES} values, with its aliases written out", line)
    open_nodes.discard(mark)
    known[mark] = size
    return size


class _Builder:
    """Turns nodes into plain values and remembers the line of each key."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._scalars: Any = _Loader("")
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []

    def mapping_at_top(self, node: yaml.Node) -> dict[str, Any]:
        value = self.value(node, ())
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _Refused("a mapping of keys to values is expected", node.start_mark.line + 1)
        return value

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag not in _PLAIN_TAGS[type(node)]:
            name = shown(node.tag.replace(_TAG, "!!"))
            raise _Refused(f"this is not plain YAML: the tag {name}", node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(index))) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (ValueError, LookupError, AttributeError, yaml.YAMLError):
            # PyYAML lets through whatever its conversion of `!!int ""` or 2026-02-30 stumbles over.
            kind = node.tag.removeprefix(_TAG)
            raise _Refused(
                f"this is no {kind}, though it is written as one", node.start_mark.line + 1
            ) from None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE_TAG:
                merged.update(self._merge_value(value_node, path))
                continue
            key = self._key(key_node)
            at = (*path, key)
            if key in own:
                place = f"{self._where}:{line}"
                self.problems.append(Problem(kind="duplicate", key=".".join(at), where=place))
                continue
            self.lines[at] = line
            own[key] = self.value(value_node, at)
        return {**merged, **own}

    def _key(self, node: yaml.Node) -> str:
        key: Hashable | None = self.value(node, ()) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str):
            return key
        if isinstance(key, bool | int | float):
            return str(node.value)  # `on:` and `15551234567:` mean the text that was written
        raise _Refused("a key is not a text", node.start_mark.line + 1)

    def _merge_value(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in reversed(parts):
            value = self.value(part, path)
            if not isinstance(value, dict):
                raise _Refused("`<<` merges only mappings", node.start_mark.line + 1)
            merged.update(value)
        return merged
