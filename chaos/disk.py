"""A disk that loses power: which contents of its files a crash may leave, given what was synced until then.

What it assumes is what journaling file systems keep, and no more:

- Of a file, what was written since its last sync may be there or not, write by write, in any order, and torn between
  its sectors.
- Of a directory, the changes since its last sync may be there up to any one of them. Directories go by themselves:
  syncing one says nothing of another, not even of the one that it stands in.
- A rename is there or not. Its two directories agree on that.
- Whether a name is on the disk has nothing to do with whether the file's content is.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from chaos.trace import Operation

__all__ = ["Disk", "Tree", "read_tree", "without_ledger", "write_tree"]

Tree: TypeAlias = dict[str, bytes | None]
"""Content by path; None: a directory. Parents come before what is in them."""


@dataclass(eq=False)
class _File:
    durable: bytes = b""
    now: bytes = b""
    pending: list[Operation] = field(default_factory=list)


@dataclass(eq=False)
class _Directory:
    names: dict[str, _File | _Directory] = field(default_factory=dict)


_LEDGER = "usage.jsonl"
_SECTOR = 512
"""A disk writes none of these by halves."""

_Node: TypeAlias = _File | _Directory


@dataclass(eq=False)
class _Change:
    """Names that appear and disappear together."""

    names: list[tuple[_Directory, str, _Node | None]]
    durable: bool = False

    def touches(self, directory: _Directory) -> bool:
        return any(each is directory for each, _, _ in self.names)


class Disk:
    """A directory whose operations are told one by one.

    Args:
        tree: what is safely on it at the beginning.
    """

    def __init__(self, tree: Tree) -> None:
        self._root = _Directory()
        self._changes: list[_Change] = []
        self._handles: dict[int, _Node] = {}
        for path, content in tree.items():
            directory, name = self._parent(path)
            node = _Directory() if content is None else _File(durable=content, now=content)
            self._change([(directory, name, node)])
        for change in self._changes:
            change.durable = True

    # What is done

    def apply(self, operation: Operation) -> None:
        """Takes the next operation."""
        match operation.kind:
            case "open":
                self._open(operation)
            case "write" | "cut":
                file = self._handles[operation.handle]
                assert isinstance(file, _File)
                file.now = _changed(file.now, operation)
                file.pending.append(operation)
            case "sync":
                self._sync(self._handles[operation.handle])
            case "sync all":
                for change in self._changes:
                    change.durable = True
                for each in self._files():
                    self._sync(each)
            case "rename":
                (source, old), (target, new) = self._parent(operation.path), self._parent(operation.target)
                node = source.names[old]
                self._change([(source, old, None), (target, new, node)])
            case "link":
                (source, old), (target, new) = self._parent(operation.path), self._parent(operation.target)
                self._change([(target, new, source.names[old])])
            case "unlink" | "rmdir":
                self._change([(*self._parent(operation.path), None)])
            case "mkdir":
                self._change([(*self._parent(operation.path), _Directory())])
            case _:
                raise ValueError(f"unknown operation {operation.kind}")

    def _open(self, operation: Operation) -> None:
        if not operation.path:
            self._handles[operation.handle] = self._root
            return
        directory, name = self._parent(operation.path)
        if name not in directory.names:
            self._change([(directory, name, _File())])
        self._handles[operation.handle] = directory.names[name]

    def _parent(self, path: str) -> tuple[_Directory, str]:
        *above, name = path.split("/")
        directory = self._root
        for part in above:
            below = directory.names[part]
            assert isinstance(below, _Directory)
            directory = below
        return directory, name

    def _change(self, names: list[tuple[_Directory, str, _Node | None]]) -> None:
        self._changes.append(_Change(names))
        for directory, name, node in names:
            _name(directory.names, name, node)

    def _sync(self, node: _Node) -> None:
        if isinstance(node, _File):
            node.durable = node.now
            node.pending.clear()
            return
        wanted = [change for change in self._changes if change.touches(node)]
        for change in self._closure(wanted):
            change.durable = True

    def _closure(self, wanted: Iterable[_Change]) -> list[_Change]:
        """With these, whatever came before them in their directories."""
        chosen = {id(change) for change in wanted}
        reached: set[int] = set()
        for change in reversed(self._changes):
            if id(change) in chosen or any(id(each) in reached for each, _, _ in change.names):
                chosen.add(id(change))
                reached.update(id(each) for each, _, _ in change.names)
        return [change for change in self._changes if id(change) in chosen]

    # What a crash leaves

    @property
    def settled(self) -> bool:
        """Is there only one thing that a crash can leave?"""
        return all(change.durable for change in self._changes) and not any(
            file.pending for file in self._files()
        )

    def now(self) -> Tree:
        """What a program sees."""
        return self._tree(self._changes, lambda file: file.now)

    def durable(self) -> Tree:
        """What a crash leaves that loses all it may."""
        return self._tree([each for each in self._changes if each.durable], lambda file: file.durable)

    def extremes(self) -> list[Tree]:
        """All is there; nothing that was not synced; the names and no content; the content and no names."""
        kept = [each for each in self._changes if each.durable]
        return [
            self.now(),
            self.durable(),
            self._tree(self._changes, lambda file: file.durable),
            self._tree(kept, lambda file: file.now),
        ]

    def at_random(self, dice: random.Random) -> Tree:
        """One of all the others."""
        pending = [change for change in self._changes if not change.durable]
        chosen = [change for change in self._changes if change.durable]
        if dice.random() < 0.5:  # a journal of the whole file system
            chosen += pending[: dice.randint(0, len(pending))]
        else:  # each directory by itself
            chosen += [change for change in pending if dice.random() < 0.4]
        contents: dict[int, bytes] = {}

        def content(file: _File) -> bytes:
            if id(file) not in contents:
                contents[id(file)] = _torn(file, dice)
            return contents[id(file)]

        return self._tree(self._closure(chosen), content)

    def _files(self) -> Iterable[_File]:
        nodes = {id(node): node for change in self._changes for _, _, node in change.names}
        return [node for node in nodes.values() if isinstance(node, _File)]

    def _tree(self, changes: Iterable[_Change], content: Callable[[_File], bytes]) -> Tree:
        names: dict[int, dict[str, _Node]] = {}
        for change in changes:
            for directory, name, node in change.names:
                _name(names.setdefault(id(directory), {}), name, node)
        tree: Tree = {}

        def walk(directory: _Directory, prefix: str) -> None:
            for name, node in sorted(names.get(id(directory), {}).items()):
                if isinstance(node, _File):
                    tree[prefix + name] = content(node)
                else:
                    tree[prefix + name] = None
                    walk(node, f"{prefix}{name}/")

        walk(self._root, "")
        return tree


def _name(names: dict[str, _Node], name: str, node: _Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _changed(content: bytes, operation: Operation) -> bytes:
    if operation.kind == "cut":
        return content[: operation.offset].ljust(operation.offset, b"\0")
    content = content.ljust(operation.offset, b"\0")
    end = operation.offset + len(operation.data)
    return content[: operation.offset] + operation.data + content[end:]


def _torn(file: _File, dice: random.Random) -> bytes:
    """What may be there of a file: a beginning of what was written, or any part of it; each write perhaps torn."""
    pending = file.pending
    if not pending:
        return file.durable
    if dice.random() < 0.6:
        count = dice.randint(0, len(pending))
        chosen = [(each, index == count - 1) for index, each in enumerate(pending[:count])]
    else:
        chosen = [(each, True) for each in pending if dice.random() < 0.6]
    content = file.durable
    for operation, may_tear in chosen:
        if operation.kind == "write" and may_tear and dice.random() < 0.6:
            content = _changed(content, _tear(operation, dice))
        else:
            content = _changed(content, operation)
    return content


def _tear(operation: Operation, dice: random.Random) -> Operation:
    """A part of a write: its beginning; whole sectors of it, the others as zeros, which the length got ahead of."""
    data = operation.data
    if dice.random() < 0.4:
        torn = data[: dice.randint(0, len(data))]
    else:
        first = _SECTOR - operation.offset % _SECTOR
        starts = [0, *range(first, len(data), _SECTOR), len(data)]
        sectors = [data[start:end] for start, end in itertools.pairwise(starts)]
        torn = b"".join(each if dice.random() < 0.5 else b"\0" * len(each) for each in sectors)
    return Operation("write", handle=operation.handle, offset=operation.offset, data=torn)


def read_tree(root: Path) -> Tree:
    """What stands in a directory."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def without_ledger(tree: Tree) -> Tree:
    """The tree without the ledger of usage, which is written behind what is confirmed."""
    return {path: content for path, content in tree.items() if not path.startswith(_LEDGER)}


def write_tree(root: Path, tree: Tree) -> None:
    """Puts it into a directory, which is made."""
    root.mkdir(mode=0o700)
    for path, content in tree.items():
        if content is None:
            (root / path).mkdir(mode=0o700)
        else:
            (root / path).write_bytes(content)
