"""Decides which files tools may reach, and opens them so that nothing can change between the check and the opening."""

from __future__ import annotations

__all__ = ["PathPolicy", "Place", "shown"]

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.paths import expand, find_paths
from openclaw_actors.errors import StateDirError
from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.walk import Walk

Right: TypeAlias = Literal["Read", "Write"]

_ANYWHERE = -1
_MAX_PATH_BYTES = 4_096
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def shown(path: str) -> str:
    """A path as it can be told to the model, whatever bytes it holds."""
    return os.fsencode(path).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is written: a name in an open directory."""

    directory: int
    name: str
    found: os.stat_result | None
    """The file that stands there; None: there is none."""
    reader: int | None
    """A descriptor from which that file can be read, where that was asked for."""


class PathPolicy:
    """What the tools of one session may read and write.

    A path is allowed if the way to it, with every link followed, leads through an allowed directory and from there on
    through no mount. Whether it exists is looked at afterwards: what is not allowed is denied in the same words,
    there or not. The gateway's own files are denied even where everything is allowed, unless allowed by name.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._workspace = config.workspace
        self._roots: dict[Right, tuple[str, ...]] = {
            "Read": config.tooling.allowed_read_roots,
            "Write": config.tooling.allowed_write_roots,
        }
        self._own: tuple[str, ...] = ()
        try:
            paths = find_paths(config.state_dir, config.memory.storage_path, os.environ)
            self._own = tuple(map(str, (paths.run, paths.logs, paths.memory, paths.state / "tmp")))
        except StateDirError:
            pass  # no gateway runs there

    def absolute(self, path: str) -> str:
        """The path from the root of the file system; one that is relative begins in the workspace.

        Raises:
            ToolFailed: it is no path.
        """
        if not path.strip():
            raise ToolFailed("Error: 'path' must not be empty.")
        if "\0" in path or len(os.fsencode(path)) >= _MAX_PATH_BYTES:
            raise ToolFailed(f"Error: 'path' must be shorter than {_MAX_PATH_BYTES} bytes and hold no NUL.")
        if path.startswith("~"):
            return str(expand(path, os.environ))
        return os.path.normpath(os.path.join(self._workspace, path)).replace("//", "/")

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[int]:
        """Open a file to read it, as a descriptor that never waits.

        Raises:
            ToolFailed: it is not allowed, does not exist, or is no file.
        """
        with self._way(path, ("Read",)) as (walk, root):
            if walk.missing:
                raise ToolFailed(f"Error: File not found: {path}")
            fd = self._open_file(walk, root, path, "Read")
            try:
                yield fd
            finally:
                os.close(fd)

    @contextlib.contextmanager
    def listing(self, path: str) -> Iterator[tuple[int, int]]:
        """Open a directory to list it: its descriptor, and the mount that it is on.

        Raises:
            ToolFailed: it is not allowed, does not exist, or is no directory.
        """
        with self._way(path, ("Read",)) as (walk, _):
            if walk.missing:
                raise ToolFailed(f"Error: Directory not found: {path}")
            if not stat.S_ISDIR(walk.last.found.st_mode):
                raise ToolFailed(f"Error: {path} is not a directory.")
            try:
                fd, mount = walk.last.open(os.O_RDONLY | os.O_DIRECTORY), walk.last.mount()
            except OSError as error:
                raise ToolFailed(f"Error: {path} cannot be listed: {error.strerror}.") from None
            try:
                yield fd, mount
            finally:
                os.close(fd)

    @contextlib.contextmanager
    def writing(self, path: str, *, changes: bool = False) -> Iterator[Place]:
        """Find the place of a file to write; the directories above it are made.

        Args:
            path: of the file.
            changes: it has to exist, and is read first.

        Raises:
            ToolFailed: it is not allowed, or no file can be there.
        """
        with self._way(path, ("Write", "Read") if changes else ("Write",)) as (walk, root):
            if not walk.missing:
                with self._existing(walk, root, path, changes=changes) as place:
                    yield place
                return
            if changes:
                raise ToolFailed(f"Error: File not found: {path}")
            *parents, name = walk.missing
            try:
                if ".." in walk.missing or not stat.S_ISDIR(walk.last.found.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                walk.make_missing(parents)
            except OSError as error:
                raise ToolFailed(f"Error: {path} cannot be written: {error.strerror}.") from None
            yield Place(walk.last.fd, name, None, None)

    @contextlib.contextmanager
    def _existing(self, walk: Walk, root: int, path: str, *, changes: bool) -> Iterator[Place]:
        _check_kind(walk, root, path, "Write")
        target = walk.last
        if not os.access(f"/proc/self/fd/{target.fd}", os.W_OK):
            raise ToolFailed(f"Error: {path} cannot be written: it is read-only.")
        directory = walk.steps[-2].fd
        if not changes:
            yield Place(directory, target.name, target.found, None)
            return
        fd = self._open_file(walk, root, path, "Read")
        try:
            yield Place(directory, target.name, target.found, fd)
        finally:
            os.close(fd)

    def _open_file(self, walk: Walk, root: int, path: str, right: Right) -> int:
        _check_kind(walk, root, path, right)
        try:
            return walk.last.open(os.O_RDONLY)
        except OSError as error:
            raise ToolFailed(f"Error: {path} cannot be read: {error.strerror}.") from None

    # What is allowed

    @contextlib.contextmanager
    def _way(self, path: str, rights: tuple[Right, ...]) -> Iterator[tuple[Walk, int]]:
        """The way to a path that is allowed, and which of its steps is the allowed directory."""
        absolute = self.absolute(path)
        if any(self._workspace in self._roots[right] for right in rights):
            self._make_workspace()
        with Walk(absolute) as walk:
            root = _ANYWHERE
            for right in rights:
                root = max(root, self._root_of(walk, path, right))
            if walk.error is not None:
                raise ToolFailed(f"Error: {path} cannot be reached: {walk.error.strerror}.")
            yield walk, root

    def _root_of(self, walk: Walk, path: str, right: Right) -> int:
        roots = self._roots[right]
        anywhere = any(root == "*" or not root.strip("/") for root in roots)
        allowed = frozenset(filter(None, (_identity(root) for root in roots if root != "*")))
        root = next((number for number, identity in walk.identities() if identity in allowed), None)
        own = frozenset(filter(None, map(_identity, self._own)))
        inner = next((number for number, identity in walk.identities() if identity in own), _ANYWHERE)
        if root is None and not anywhere:
            raise self._denied(path, right, f"it is not in {self._all(roots)}")
        if inner > (root if root is not None else _ANYWHERE):
            raise self._denied(path, right, "it is the gateway's own")
        if anywhere or root is None:
            return _ANYWHERE
        try:
            leaves = walk.last.mount() != walk.steps[root].mount()
        except OSError as error:
            raise self._denied(path, right, f"its mount cannot be told: {error.strerror}") from None
        if leaves:
            raise self._denied(
                path, right, "there is another file system on the way, which is not allowed by name"
            )
        return root

    def _all(self, roots: tuple[str, ...]) -> str:
        return "an allowed directory: " + (", ".join(map(shown, roots)) or "there is none")

    def _denied(self, path: str, right: Right, why: str) -> ToolFailed:
        return ToolFailed(f"Error: {right} access denied for path: {path} ({why})", status="denied")

    def _make_workspace(self) -> None:
        try:
            Path(self._workspace).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            pass  # whoever needs it is told that it is missing


def _check_kind(walk: Walk, root: int, path: str, right: Right) -> None:
    """Only files are opened: anything else may block, or do something by being opened."""
    found = walk.last.found
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something special")
        raise ToolFailed(f"Error: {path} is {kind}, not a file.")
    alone = root == len(walk.steps) - 1
    if found.st_nlink > 1 and root != _ANYWHERE and not alone:
        raise ToolFailed(
            f"Error: {right} access denied for path: {path} (it is a hard link: the same file has "
            f"{found.st_nlink} names, and not all of them need be in an allowed directory; a copy of it would do)",
            status="denied",
        )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
