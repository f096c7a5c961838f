"""Looks at the state directory: whose it is, who else can read it, and whether sockets fit into it."""

from __future__ import annotations

__all__ = ["look"]

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, counted, error, info, ok, warning
from openclaw_actors.store.ownership import DIRECTORIES

_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_MAX_FILES = 1_000
_ADVICE = "or choose another with --state-dir or OPENCLAW_STATE_DIR"


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    paths = context.paths
    if context.run_problem:
        yield error(
            context.run_problem, why="start fails", remedy="choose a shorter path, or mend what is named"
        )
    elif paths.run != paths.state / "run":
        yield info(
            f"sockets are in {paths.run}: {paths.state} is too long for them, or `run` is a link",
            why="commands find it through the link `run`",
        )
    if not os.path.lexists(paths.state):
        yield from _not_there(paths.state)
        return
    seen = 0
    for path in _directories(context):
        if os.path.lexists(path):
            seen += 1
            yield from _directory(path)
    for path in _private_files(context):
        yield from _file(path)
    if seen:
        yield ok(f"{paths.state} was looked at, {counted(seen, 'directory', 'directories')}")


def _directories(context: Context) -> list[Path]:
    paths = context.paths
    inner = [paths.memory / name for name in DIRECTORIES]
    return list(dict.fromkeys([paths.state, paths.run, paths.logs, paths.memory, *inner]))


def _private_files(context: Context) -> list[Path]:
    paths = context.paths
    found = [paths.state / "chat_history", paths.memory / "store.lock", paths.memory / "open-turns.jsonl"]
    for directory in (paths.logs, paths.memory / "sessions"):
        try:
            with os.scandir(directory) as entries:
                found += [Path(entry.path) for entry, _ in zip(entries, range(_MAX_FILES), strict=False)]
        except OSError:
            continue  # it is not there, or the directory itself is told
    return found


def _not_there(state: Path) -> Iterator[Finding]:
    parent = state.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if os.access(parent, os.W_OK | os.X_OK):
        yield info(f"{state} is not there; the first start makes it")
        return
    yield error(
        f"{state} is not there, and may not be made in {parent}",
        why="start fails",
        remedy=f"sudo install -d -m 700 -o {os.getuid()} {state}, {_ADVICE}",
    )


def _directory(path: Path) -> Iterator[Finding]:
    try:
        found = path.stat()
    except OSError as failed:
        yield error(f"{path}: {failed.strerror}", why="start fails", remedy=f"remove or mend it, {_ADVICE}")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield error(f"{path} is not a directory", why="start fails", remedy=f"move it away, {_ADVICE}")
        return
    if found.st_uid != os.geteuid():
        yield error(
            f"{path} belongs to the user {found.st_uid}, not to this one ({os.geteuid()})",
            why="start refuses it: who owns it can read and change every conversation",
            remedy=f"sudo chown -R {os.geteuid()} {path}, {_ADVICE}",
        )
        return
    yield from _mode(path, found.st_mode, wanted=0o700)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield error(
            f"{path} cannot be written",
            why="start fails",
            remedy=f"chmod 700 {path}; if the file system is mounted read-only, mount it for writing",
        )


def _file(path: Path) -> Iterator[Finding]:
    try:
        found = path.lstat()
    except OSError:
        return  # not there, or gone meanwhile
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_uid != os.geteuid():
        yield error(
            f"{path} belongs to the user {found.st_uid}, not to this one ({os.geteuid()})",
            why="the gateway cannot write it: a command was once run as another user",
            remedy=f"sudo chown {os.geteuid()} {path}",
        )
        return
    yield from _mode(path, found.st_mode, wanted=0o600)


def _mode(path: Path, mode: int, *, wanted: int) -> Iterator[Finding]:
    mode = stat.S_IMODE(mode)
    if not mode & _OTHERS:
        return
    writable = bool(mode & _OTHERS_WRITE)
    what = f"{path} has the mode {mode:04o}: others can {'change' if writable else 'read'} it"
    why = "whoever can reach it can speak to the actors, or read what people wrote"
    make = error if writable else warning
    repair = partial(_chmod, path, mode & ~_OTHERS)
    yield make(what, why=why, remedy=f"chmod {wanted:o} {path}", repair=repair)


def _chmod(path: Path, mode: int) -> str:
    """Take rights away, from the very file that was looked at and not from what a link may show by now."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            raise PermissionError(1, "it belongs to another user", str(path))
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
    return f"chmod {mode:o} {path}"
