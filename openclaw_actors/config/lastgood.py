"""Owns the last good configuration: what stood in the file when a gateway came up on it, without values of secrets.

It stands in for a file that is broken at the next start. Environment and command line are taken as they are then.
"""

from __future__ import annotations

__all__ = [
    "LAST_GOOD",
    "LastGood",
    "LastGoodUnusable",
    "decode_last_good",
    "encode_last_good",
    "last_good_of",
    "load_last_good",
    "save_last_good",
]

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.config.document import MAX_BYTES
from openclaw_actors.config.loading import Loaded, examine
from openclaw_actors.config.masking import without_secrets

LAST_GOOD = "last-good.json"
"""Its name in the state directory."""

_FORMAT = 1
_MOST_NAMED = 3


class LastGoodUnusable(Exception):
    """Raised when the last good configuration cannot stand in; one line says why, and none that there is none."""


class LastGood(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept."""

    format: int = _FORMAT
    file: str = ""
    """The file that it stood in; empty: there was none."""
    saved_at: float = 0.0
    """Unix time."""
    withheld: tuple[str, ...] = ()
    """Dotted keys of values that are not kept, since they are or could be secrets."""
    tree: dict[str, Any] = {}


def last_good_of(loaded: Loaded) -> LastGood:
    """What is to be kept of a configuration, once a gateway has come up on it."""
    tree, withheld = without_secrets(loaded.from_file)
    return LastGood(
        file="" if loaded.path is None else os.path.abspath(loaded.path), withheld=withheld, tree=tree
    )


def encode_last_good(good: LastGood) -> bytes:
    """Turn it into JSON."""
    return msgspec.json.encode(good)


def decode_last_good(data: bytes) -> LastGood:
    """Turn the JSON of `encode_last_good` back. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(data, type=LastGood)


def save_last_good(state_dir: Path, good: LastGood) -> None:
    """Keep it, in one step, for its owner alone.

    Raises:
        OSError: the disk does not take it; the one before is still there.
    """
    data = encode_last_good(msgspec.structs.replace(good, saved_at=time.time()))
    path = state_dir / LAST_GOOD
    temporary = path.with_name(f".{LAST_GOOD}.{os.getpid()}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_last_good(
    state_dir: Path, path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[Loaded, LastGood]:
    """Read the configuration as `load` does, with what was good in the place of the file.

    Args:
        state_dir: of the gateway that is to start.
        path: the file that the command line names.

    Raises:
        LastGoodUnusable: there is none, or it does not do.
    """
    good = _read(state_dir / LAST_GOOD)
    overrides = {**overrides, "state_dir": str(state_dir)}
    loaded, problems = examine(path, environ, overrides, instead=good.tree)
    # A secret that is missing could be the one without which everybody comes in.
    elsewhere = [key for key in good.withheld if not _is_given(key, loaded.sources)]
    if elsewhere:
        names = ", ".join(elsewhere[:_MOST_NAMED]) + (" and others" if len(elsewhere) > _MOST_NAMED else "")
        raise LastGoodUnusable(
            f"it does not hold {names}: secrets that stand in the file itself are not kept; write env: or file:"
        )
    if problems:
        raise LastGoodUnusable(f"it cannot be used any more: {problems[0]}")
    return loaded, good


def _is_given(key: str, sources: Mapping[str, str]) -> bool:
    """Whether another source than the file gives this key, or what it is in."""
    parts = key.split(".")
    above = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return any(sources.get(each, "").startswith(("environment", "command line")) for each in above)


def _read(path: Path) -> LastGood:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            owner = os.fstat(fd).st_uid
            data = file.read(MAX_BYTES + 1) or b""
    except FileNotFoundError:
        raise LastGoodUnusable("") from None
    except OSError as error:
        raise LastGoodUnusable(f"{path}: {error.strerror}") from None
    if owner != os.geteuid():
        raise LastGoodUnusable(f"{path} belongs to another user")
    try:
        good = decode_last_good(data)
    except msgspec.MsgspecError:
        raise LastGoodUnusable(f"{path} is damaged") from None
    if good.format != _FORMAT:
        raise LastGoodUnusable(f"{path} is another version's")
    return good
