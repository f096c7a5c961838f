"""Looks for the values of secrets where none may be: in the log, in the history of `chat`, in the configuration."""

from __future__ import annotations

__all__ = ["look"]

import json
import os
from collections.abc import Iterator
from pathlib import Path

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, counted, error, info, ok
from openclaw_actors.config.rules import secret_refs
from openclaw_actors.config.secrets import SecretUnresolved, resolve

LEAST_CHARS = 12
"""A shorter value stands in ordinary words."""

READ_BYTES = 64 * 1024 * 1024
"""Of the end of each file: more than the log keeps by default."""

_MAX_FILES = 100
_CHUNK = 1 << 20


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    wanted: dict[bytes, str] = {}
    unknown = 0
    for key, ref in secret_refs(context.config):
        try:
            value = resolve(ref, context.environ)
        except SecretUnresolved:
            unknown += 1
            continue
        if len(value) >= LEAST_CHARS:
            in_file = ref.lower().startswith("raw:")
            for text in {value, json.dumps(value)[1:-1]}:
                wanted[text.encode(errors="surrogatepass")] = "" if in_file else key
    if unknown:
        yield info(
            f"{counted(unknown, 'secret')} could not be looked for: this shell does not have "
            + ("it" if unknown == 1 else "them"),
            remedy="run it with the variables of the service, such as systemd's EnvironmentFile",
        )
    if not wanted:
        return
    places = [path for path in _files(context) if path.is_file()]
    leaks = 0
    for path in places:
        own = path == context.file  # what stands there as `raw:` is told where exposure is looked at
        for form, key in wanted.items():
            if own and not key:
                continue
            if _holds(path, form):
                leaks += 1
                yield _leak(path, key or "a raw: secret", context)
    if not leaks:
        yield ok(f"no secret stands in {counted(len(places), 'file')} of the log and the configuration")


def _leak(path: Path, key: str, context: Context) -> Finding:
    remedy = f"replace the secret, then take it out of {path}"
    if path.parent == context.paths.logs:
        remedy = f"replace the secret, then remove {path}"
    return error(
        f"the value of {key} stands in {path}",
        why="logs and configurations are copied, sent and kept longer than anybody thinks",
        remedy=remedy,
    )


def _files(context: Context) -> Iterator[Path]:
    if context.file is not None:
        yield context.file
    yield context.paths.state / "chat_history"
    try:
        with os.scandir(context.paths.logs) as entries:
            for entry, _ in zip(entries, range(_MAX_FILES), strict=False):
                if entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)
    except OSError:
        return  # no log yet, or told where the state directory is looked at


def _holds(path: Path, value: bytes) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - READ_BYTES))
            tail = b""
            while chunk := file.read(_CHUNK):
                if value in tail + chunk:
                    return True
                tail = chunk[-len(value) :]
    except OSError:
        return False  # not there
    return False
