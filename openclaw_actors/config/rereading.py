"""Decides what a running gateway's configuration is now: reads it again, and refuses what it could not run on.

For a process of its own, that ends afterwards: it sees the values of secrets.
"""

from __future__ import annotations

__all__ = ["Reread", "reread"]

import resource
from collections.abc import Mapping
from pathlib import Path

import msgspec

from openclaw_actors.config.changes import pinned
from openclaw_actors.config.lastgood import LastGood, last_good_of
from openclaw_actors.config.loading import Loaded, examine
from openclaw_actors.config.model import GatewayConfig
from openclaw_actors.config.origin import Origin, stamps_of
from openclaw_actors.config.problems import Problem
from openclaw_actors.config.rules import files_needed
from openclaw_actors.config.secrets import (
    secret_variables,
    travelling,
    vault_content,
    vault_name,
    without_values,
)
from openclaw_actors.config.vault import VaultUnusable, fill_vault, read_secret, vault_path
from openclaw_actors.errors import ConfigError


class Reread(msgspec.Struct, frozen=True, kw_only=True):
    """What there is now."""

    problems: tuple[Problem, ...] = ()
    """Why it cannot be used; everything else says nothing then."""
    warnings: tuple[str, ...] = ()
    config: GatewayConfig = GatewayConfig()
    """Without values of secrets, and with the values in force of what only another start can change."""
    wanted: GatewayConfig = GatewayConfig()
    """As it will be after another start."""
    secrets: dict[str, str] = {}
    """Dotted key -> reference."""
    origin: Origin = Origin()
    other_values: tuple[str, ...] = ()
    """Keys of secrets with another value than before."""
    vault: int = -1
    """Descriptor of a new vault, which this process holds; -1: the one before holds all that is needed."""
    good: LastGood = LastGood()


def reread(
    origin: Origin, environ: Mapping[str, str], current: GatewayConfig, references: Mapping[str, str]
) -> Reread:
    """Read the configuration again.

    Args:
        origin: where it comes from.
        environ: this process' environment; what `start` has taken out of it is put back in from the vault.
        current: what is in force.
        references: dotted key -> reference, of the secrets in force.
    """
    try:
        environ = {**environ, **{name: read_secret(origin.vault, f"env:{name}") for name in origin.hidden}}
    except VaultUnusable as error:
        return _refused(Problem(kind="file", where="the environment of start", allowed=str(error)))
    path = None if origin.file is None else Path(origin.file)
    wanted, problems = examine(path, environ, origin.overrides)
    if not problems and _was_emptied(wanted):
        text = "the file is empty; write {} into it if the defaults are meant"
        problems = [Problem(kind="file", where=str(wanted.path), allowed=text)]
    loaded = wanted
    if not problems and (stays := pinned(current, without_values(wanted.config))):
        loaded, problems = examine(path, environ, {**origin.overrides, **stays})
    problems = problems or _open_files(loaded.config)
    if problems:
        return Reread(problems=tuple(problems))
    try:
        return _prepared(origin, environ, loaded, wanted, references)
    except ConfigError as error:
        return Reread(problems=tuple(each for each in error.problems if isinstance(each, Problem)))
    except OSError as error:
        text = f"memory for secrets: {error.strerror}"
        return _refused(Problem(kind="file", where="the vault", allowed=text))


def _refused(problem: Problem) -> Reread:
    return Reread(problems=(problem,))


def _was_emptied(loaded: Loaded) -> bool:
    """Whether nothing at all stands in the file, as in one that is just being written."""
    return loaded.path is not None and not loaded.from_file and not loaded.path.read_bytes().strip()


def _open_files(config: GatewayConfig) -> list[Problem]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < 0 or files_needed(config) <= limit:
        return []
    text = f"so few that {limit} open files are enough"
    return [Problem(kind="rule", key="sessions.max_live", allowed=text, value=str(config.sessions.max_live))]


def _prepared(
    origin: Origin,
    environ: Mapping[str, str],
    loaded: Loaded,
    wanted: Loaded,
    references: Mapping[str, str],
) -> Reread:
    hidden = tuple(sorted({*origin.hidden, *secret_variables(loaded.config, environ)}))
    values = vault_content(loaded.config, environ, hidden)
    renewed = {name for name, value in values.items() if _known(origin.vault, name) != value}
    config = without_values(loaded.config)
    vault, at = -1, origin.vault
    if renewed:
        vault = fill_vault(values, b"null")
        at = vault_path(vault)
    secrets = travelling(config, environ, at)
    stamps = stamps_of(secrets)
    other = {key for key, ref in secrets.items() if vault_name(ref) in renewed and key in references}
    other |= {key for key, stamp in stamps.items() if origin.stamps.get(key, stamp) != stamp}
    return Reread(
        warnings=wanted.warnings,
        config=config,
        wanted=without_values(wanted.config),
        secrets=secrets,
        origin=msgspec.structs.replace(
            origin, vault=at, hidden=hidden if at else (), stamps=stamps, warning="", held_back={}
        ),
        other_values=tuple(sorted(other)),
        vault=vault,
        good=last_good_of(wanted),
    )


def _known(vault: str, name: str) -> str | None:
    try:
        return read_secret(vault, name) if vault else None
    except VaultUnusable:
        return None
