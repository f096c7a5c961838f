"""Decides what a secret reference stands for, which variables hold secrets, and what of a secret may travel."""

from __future__ import annotations

__all__ = [
    "SecretUnresolved",
    "collect_secrets",
    "resolve",
    "resolve_all",
    "secret_problems",
    "secret_variables",
    "travelling",
    "values_for_vault",
    "vault_content",
    "vault_name",
    "without_values",
]

import os
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from openclaw_actors.config.environment import DEDICATED, PREFIX
from openclaw_actors.config.layers import field_kind
from openclaw_actors.config.model import GatewayConfig, decode, encode
from openclaw_actors.config.paths import expand
from openclaw_actors.config.problems import Problem
from openclaw_actors.config.rules import secret_refs
from openclaw_actors.config.vault import VaultUnusable, read_secret
from openclaw_actors.errors import ConfigError

_MAX_FILE_BYTES = 65_536


class SecretUnresolved(Exception):
    """Raised when a reference does not lead to a value; the text says why and holds no part of the value."""


def resolve(ref: str, environ: Mapping[str, str]) -> str:
    """Get the value behind a reference.

    Args:
        ref: `env:NAME`, `file:PATH` (UTF-8) or `raw:VALUE`, or what `travelling` made of one; white space around the
            value is no part of it.
        environ: the environment.

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
        case "vault":
            path, _, name = rest.partition(":")
            try:
                value, missing = read_secret(path, name), "the vault of start holds an empty value"
            except VaultUnusable as error:
                raise SecretUnresolved(str(error)) from None
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
    return (each for each in _resolved(dict(secret_refs(config)), environ) if isinstance(each, Problem))


def _resolved(refs: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[tuple[str, str] | Problem]:
    """Key and value of each reference, or what is wrong with it."""
    owners: dict[str, str] = {}
    for key, ref in refs.items():
        try:
            value = resolve(ref, environ)
        except SecretUnresolved as error:
            allowed = "a reference that resolves"
            yield Problem(kind="secret", key=key, allowed=allowed, value=_shown(ref), hint=str(error))
            continue
        if key == "auth_token" or key.startswith("auth.tokens."):
            if value in owners:
                yield Problem(kind="rule", key=key, allowed=f"another token than {owners[value]}")
                continue
            owners[value] = key
        yield key, value


def _shown(ref: str) -> str:
    """A reference as it may be shown: as it was written, but for a value."""
    scheme, _, rest = ref.partition(":")
    if scheme.lower() == "vault":
        ref = rest.partition(":")[2]
    return "raw:***" if ref.lower().startswith("raw:") else ref


def resolve_all(refs: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Resolve references.

    Args:
        refs: dotted key -> reference.
        environ: the environment.

    Returns:
        Dotted key -> value.

    Raises:
        ConfigError: one does not resolve, or two tokens are the same; it carries everything that is wrong.
    """
    found = list(_resolved(refs, environ))
    if problems := [each for each in found if isinstance(each, Problem)]:
        raise ConfigError(problems)
    return dict(each for each in found if not isinstance(each, Problem))


def collect_secrets(config: GatewayConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Resolve every reference of a configuration that `load` accepted.

    Returns:
        Dotted key -> value.

    Raises:
        ConfigError: one does not resolve any more.
    """
    return resolve_all(dict(secret_refs(config)), environ)


def values_for_vault(config: GatewayConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Say what a vault must hold: the values that stand in the environment or in the configuration itself.

    Returns:
        Name in the vault -> value.

    Raises:
        ConfigError: a reference does not resolve any more, whichever.
    """
    values = collect_secrets(config, environ)
    names = {key: _name_in_vault(key, ref) for key, ref in secret_refs(config)}
    return {name: values[key] for key, name in names.items() if name is not None}


def vault_content(config: GatewayConfig, environ: Mapping[str, str], hidden: Iterable[str]) -> dict[str, str]:
    """Say all that a vault holds: what the configuration needs now, and the variables that no process has any more.

    Args:
        hidden: names of the variables; a configuration that is read later may need them.

    Returns:
        Name in the vault -> value.

    Raises:
        ConfigError: a reference does not resolve any more, whichever.
    """
    values = values_for_vault(config, environ)
    return values | {f"env:{name}": environ[name] for name in hidden}


def travelling(config: GatewayConfig, environ: Mapping[str, str], path: str) -> dict[str, str]:
    """Put references into the form in which any process of the gateway can resolve them, without an environment.

    Args:
        config: the configuration; values in it are not needed.
        environ: the environment, for the home directory.
        path: of the vault.

    Returns:
        Dotted key -> reference. A file stays one, so that whoever begins later finds what stands in it then.
    """
    found = {}
    for key, ref in secret_refs(config):
        name = _name_in_vault(key, ref)
        found[key] = f"file:{expand(ref[5:], environ)}" if name is None else f"vault:{path}:{name}"
    return found


def vault_name(ref: str) -> str:
    """The name in the vault of a reference that travels; empty for one that leads elsewhere."""
    return ref.split(":", 2)[2] if ref.startswith("vault:") else ""


def _name_in_vault(key: str, ref: str) -> str | None:
    """None for what stands in a file of its own."""
    scheme, _, rest = ref.partition(":")
    match scheme.lower():
        case "file":
            return None
        case "env":
            return f"env:{rest}"
    return f"raw:{key}"


def without_values(config: GatewayConfig) -> GatewayConfig:
    """Take out of a configuration the values of secrets that stand in it."""

    def masked(value: object) -> object:
        if isinstance(value, dict):
            return {name: masked(each) for name, each in value.items()}
        if isinstance(value, list):
            return [masked(each) for each in value]
        return "raw:***" if isinstance(value, str) and value in raw else value

    raw = {ref for _, ref in secret_refs(config) if ref.lower().startswith("raw:")}
    return decode(msgspec.json.encode(masked(msgspec.json.decode(encode(config)))))


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
