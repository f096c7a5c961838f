"""Decides where things are on disk: the state directory, and the run directory that sockets fit into."""

from __future__ import annotations

__all__ = ["SOCKET_PATH_MAX", "StatePaths", "expand", "find_paths", "prepare_paths"]

import hashlib
import os
import pwd
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from openclaw_actors.errors import StateDirError

SOCKET_PATH_MAX = 107
"""Bytes of a Unix socket's path on Linux, without the closing NUL."""

RUN_NAME_RESERVE = 48
"""Bytes kept for what stands below the run directory: `/<boot id>/<socket>`."""

_ADVICE = "choose another with --state-dir or OPENCLAW_STATE_DIR"


class StatePaths(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of one gateway's state are."""

    state: Path
    run: Path
    logs: Path
    memory: Path


def expand(path: str, environ: Mapping[str, str]) -> Path:
    """Make a configured path absolute; `~` is the home directory."""
    if path == "~" or path.startswith("~/"):
        home = environ.get("HOME") or _home_of_this_user()
        return Path(os.path.abspath(home + path[1:]))
    return Path(os.path.abspath(os.path.expanduser(path) if path.startswith("~") else path))


def _home_of_this_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise StateDirError("there is no home directory: set HOME, or choose one with --state-dir") from None


def find_paths(state_dir: str, storage_path: str, environ: Mapping[str, str]) -> StatePaths:
    """Say where a gateway on this state directory keeps its things, without making any of them.

    The run directory is `run/` in the state directory. Where a socket's path would exceed the limit of the operating
    system it is a directory under $XDG_RUNTIME_DIR or the temporary directory, named by the state directory; `run` is
    then a link to it, so that a command started in another environment finds it too.
    """
    state = expand(state_dir, environ)
    return StatePaths(
        state=state,
        run=_find_run_dir(state, environ),
        logs=state / "logs",
        memory=expand(storage_path, environ),
    )


def _find_run_dir(state: Path, environ: Mapping[str, str]) -> Path:
    inside = state / "run"
    try:
        linked = os.readlink(inside)
    except OSError:
        linked = ""
    if linked and os.lstat(inside).st_uid == os.getuid():
        return Path(linked)
    if len(os.fsencode(inside)) + RUN_NAME_RESERVE <= SOCKET_PATH_MAX:
        return inside
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    name = f"openclaw-{os.getuid()}-{digest}"
    for base in (
        environ.get("XDG_RUNTIME_DIR", ""),
        environ.get("TMPDIR", ""),
        tempfile.gettempdir(),
        "/tmp",
    ):
        candidate = Path(base, name)
        fits = len(os.fsencode(candidate)) + RUN_NAME_RESERVE <= SOCKET_PATH_MAX
        if base and fits and candidate.is_absolute() and os.access(base, os.W_OK | os.X_OK):
            return candidate
    raise StateDirError(f"no directory is short enough for sockets: {state} is too long; {_ADVICE}")


def prepare_paths(state_dir: str, storage_path: str, environ: Mapping[str, str]) -> StatePaths:
    """Make the directories that are missing, and check that all of them are ours.

    Raises:
        StateDirError: one is not a directory, belongs to somebody else, or cannot be written.
    """
    paths = find_paths(state_dir, storage_path, environ)
    _make(paths.state, parents=True)
    inside = paths.state / "run"
    for path in (paths.logs, paths.run):
        _make(path, parents=False)
        _refuse_link(path)
    os.chmod(paths.run, 0o700)
    if paths.run != inside and not inside.is_symlink():
        _link(inside, paths.run)
    return paths


def _make(path: Path, *, parents: bool) -> None:
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass  # checked below like one that we made
    except OSError as error:
        raise StateDirError(f"cannot make the directory {path}: {error.strerror}; {_ADVICE}") from None
    _check_ours(path)


def _check_ours(path: Path) -> None:
    """Refuse what is no directory, belongs to somebody else, or cannot be written."""
    try:
        found = path.stat()
    except OSError as error:
        raise StateDirError(f"cannot read {path}: {error.strerror}; {_ADVICE}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise StateDirError(f"{path} is not a directory; {_ADVICE}")
    if found.st_uid != os.getuid():
        raise StateDirError(f"{path} belongs to another user (uid {found.st_uid}); {_ADVICE}")
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise StateDirError(f"{path} cannot be written: {error.strerror}; {_ADVICE}") from None


def _refuse_link(path: Path) -> None:
    """The state directory may be a link that its owner made; what others could have put in our way may not."""
    if path.is_symlink():
        raise StateDirError(f"{path} is a link, not a directory; {_ADVICE}")


def _link(inside: Path, run: Path) -> None:
    try:
        if inside.is_dir():
            inside.rmdir()
        inside.symlink_to(run)
    except OSError as error:
        raise StateDirError(f"cannot make the link {inside}: {error.strerror}; {_ADVICE}") from None
