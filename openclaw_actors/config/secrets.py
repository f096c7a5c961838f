"""Decides what a secret reference stands for, and takes secrets out of the process's environment."""

from __future__ import annotations

__all__ = [
    "SecretUnresolved",
    "collect_secrets",
    "resolve",
    "scrub_environment",
    "secret_problems",
    "secret_variables",
]

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping

from openclaw_actors.config.environment import DEDICATED, PREFIX
from openclaw_actors.config.layers import field_kind
from openclaw_actors.config.model import GatewayConfig
from openclaw_actors.config.paths import expand
from openclaw_actors.config.problems import Problem
from openclaw_actors.config.rules import secret_refs
from openclaw_actors.errors import ConfigError

_MAX_FILE_BYTES = 65_536


class SecretUnresolved(Exception):
    """Raised when a reference does not lead to a value; the text says why and holds no part of the value."""


def resolve(ref: str, environ: Mapping[str, str]) -> str:
    """Get the value behind a reference.

    Args:
        ref: `env:NAME`, `file:PATH` (UTF-8) or `raw:VALUE`; white space around the value is no part of it.

    Raises:
        SecretUnresolved: there is no value, or it holds a control character or what is not UTF-8.
    """
    scheme, _, rest = ref.partition(":")
    match scheme.lower():
        case "env":
            value = environ.get(rest, "")
            missing = f"the environment variable {rest} is not set"
        case "file":
            value = _read_file(rest, environ)
            missing = f"the file {rest} is empty"
        case "raw":
            value, missing = rest, "nothing follows raw:"
        case _:
            raise SecretUnresolved("it is no reference")
    value = value.strip()
    if not value:
        raise SecretUnresolved(missing)
    if any(char < " " or char == "\x7f" for char in value):
        raise SecretUnresolved("the value holds a line break or a control character")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise SecretUnresolved("the value is not UTF-8")  # it could neither be sent nor compared
    return value


def _read_file(name: str, environ: Mapping[str, str]) -> str:
    try:
        # Not blocking: a named pipe that nobody writes to is an empty file, not a gateway that never starts.
        fd = os.open(expand(name, environ), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1) or b""
    except OSError as error:
        raise SecretUnresolved(f"the file {name} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise SecretUnresolved(f"the file {name} is larger than {_MAX_FILE_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SecretUnresolved(f"the file {name} is not UTF-8") from None


def secret_problems(config: GatewayConfig, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Find references that do not resolve, and tokens that name two principals."""
    owners: dict[str, str] = {}
    for key, ref in secret_refs(config):
        try:
            value = resolve(ref, environ)
        except SecretUnresolved as error:
            shown = "raw:***" if ref.lower().startswith("raw:") else ref
            allowed = "a reference that resolves"
            yield Problem(kind="secret", key=key, allowed=allowed, value=shown, hint=str(error))
            continue
        if key != "auth_token" and not key.startswith("auth.tokens."):
            continue
        if value in owners:
            yield Problem(kind="rule", key=key, allowed=f"another token than {owners[value]}")
        owners[value] = key


def collect_secrets(config: GatewayConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Resolve every reference of a configuration that `load` accepted.

    Returns:
        Dotted key -> value; `start` keeps them and hands each actor what it needs.

    Raises:
        ConfigError: one does not resolve any more.
    """
    if problems := list(secret_problems(config, environ)):
        raise ConfigError(problems)
    return {key: resolve(ref, environ) for key, ref in secret_refs(config)}


def secret_variables(config: GatewayConfig, environ: Mapping[str, str]) -> frozenset[str]:
    """Name the variables of an environment that hold secrets, whether the configuration uses them or not."""
    names = {ref.partition(":")[2] for _, ref in secret_refs(config) if ref.lower().startswith("env:")}
    for name, key in DEDICATED.items():
        kind = field_kind(tuple(key.split(".")))
        if kind is not None and kind.secret:
            names.add(name)
    # These may hold `raw:` values, the environment of a skill, a plugin's settings; nobody reads them a second time.
    names |= {name for name in environ if name.startswith(PREFIX)}
    return frozenset(name for name in names if name in environ)


def scrub_environment(names: Iterable[str]) -> None:
    """Take variables out of this process, so that neither a child nor /proc/<pid>/environ shows them.

    `os.environ` forgets them, and the bytes of their values are overwritten in the block that the kernel filled when
    the process began, which is what /proc shows.
    """
    for name in names:
        encoded = os.fsencode(name)
        _wipe_current(encoded)
        os.environ.pop(name, None)
        _wipe_initial(encoded)


def _wipe_current(name: bytes) -> None:
    """Overwrite the value that getenv finds: the initial block's, or a copy that Python made since."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    libc.getenv.argtypes = [ctypes.c_char_p]
    if address := libc.getenv(name):
        ctypes.memset(address, 0, len(ctypes.string_at(address)))


def _wipe_initial(name: bytes) -> None:
    """Overwrite the value in the initial block, whose bounds stand in /proc/self/stat."""
    try:
        with open("/proc/self/stat", "rb") as file:
            # The second field, the command in parentheses, may hold spaces and parentheses itself.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return  # no /proc, so nothing shows the block either
    start, end = (
        int(fields[47]),
        int(fields[48]),
    )  # env_start, env_end: 50 and 51 in proc(5), two fields are cut off
    if not 0 < start < end:
        return
    block = ctypes.string_at(start, end - start)
    position = 0
    for entry in block.split(b"\0"):
        if entry.startswith(name + b"="):
            ctypes.memset(start + position + len(name) + 1, 0, len(entry) - len(name) - 1)
        position += len(entry) + 1
