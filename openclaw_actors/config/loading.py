"""Decides what the configuration is: finds the file, puts the sources over each other, and reports every problem."""

from __future__ import annotations

__all__ = ["DEFAULT_FILE", "Loaded", "examine", "find_file", "load"]

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.config.document import MAX_BYTES, parse_document, state_dir_in
from openclaw_actors.config.environment import (
    ANTHROPIC_KEY,
    CONFIG_PATH_VARIABLE,
    PREFIX,
    read_environment,
)
from openclaw_actors.config.layers import MAX_PROBLEMS, KeyPath, Layer, Merged, field_kind, key_names
from openclaw_actors.config.model import DERIVED, NOT_YET, GatewayConfig
from openclaw_actors.config.models import with_defaults_of_provider
from openclaw_actors.config.paths import expand
from openclaw_actors.config.problems import Problem
from openclaw_actors.config.rules import cross_problems, public_bind_warnings, twilio_warnings
from openclaw_actors.config.secrets import secret_problems
from openclaw_actors.config.tls import tls_problems
from openclaw_actors.errors import ConfigError

DEFAULT_FILE = Path("conf/gateway.yaml")


_KEYS_OF_SECRETS = ("llm.api_key", "auth_token")
_DEFAULTS = GatewayConfig()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that can be used, and how it came about."""

    config: GatewayConfig
    sources: dict[str, str]
    """Dotted key -> `default`, `derived`, `FILE:LINE`, `environment NAME` or `command line`."""
    warnings: tuple[str, ...]
    path: Path | None
    """The file that was read; None where none was."""
    from_file: dict[str, Any] = {}
    """What of the file was good, as it stands there: with secrets."""


def load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    *,
    to_start: bool = True,
) -> Loaded:
    """Read the configuration from all its sources.

    Args:
        path: the file that the command line names; without one it is $OPENCLAW_CONFIG_PATH, then ./conf/gateway.yaml,
            then none.
        environ: the environment.
        overrides: dotted key -> value, from the command line.
        to_start: False: it is only to find a gateway that runs, so nothing is asked of rules between keys and of
            secrets, which another shell need not have.

    Raises:
        ConfigError: something is wrong; it carries everything that is.
    """
    loaded, problems = examine(path, environ, overrides, to_start=to_start)
    if problems:
        raise ConfigError(problems)
    return loaded


def examine(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    *,
    to_start: bool = True,
    instead: Mapping[str, Any] | None = None,
) -> tuple[Loaded, list[Problem]]:
    """Read the configuration as `load` does, but go on where something is wrong.

    Args:
        instead: what the file is taken to hold; None: what it does hold.

    Returns:
        What can be used of it, with the default in the place of each bad value, and every problem.
    """
    merged = Merged()
    chosen = find_file(path, environ)
    if instead is not None:
        merged.add(Layer(instead, lambda _: str(chosen)))
    elif chosen is not None:
        _add_file(merged, chosen)
    file_tree = copy.deepcopy(merged.tree)
    from_file = {
        key: (merged.sources[key], value)
        for key in _KEYS_OF_SECRETS
        if (value := _at(merged.tree, key)) is not None
    }
    environment = read_environment(environ, provider=_provider_so_far(merged, environ, overrides))
    merged.problems += environment.problems
    merged.add(environment.layer)
    merged.add(Layer(_tree_of(overrides), lambda _: "command line"))
    config = _derive(merged, environ)
    problems = [
        problem
        for problem in (
            (*cross_problems(config), *secret_problems(config, environ), *tls_problems(config.tls))
            if to_start
            else ()
        )
        if not any(merged.bad(key) for key in (problem.key, *_keys_named_in(problem.allowed)))
    ]
    merged.problems += [_placed(problem, merged.sources) for problem in problems]
    warnings = [
        *environment.warnings,
        *_warnings(config, merged.sources, from_file),
        *((*twilio_warnings(config), *public_bind_warnings(config)) if to_start else ()),
    ]
    loaded = Loaded(
        config=config,
        sources=_all_sources(config, merged),
        warnings=tuple(warnings),
        path=chosen,
        from_file=file_tree,
    )
    return loaded, _bounded(merged.problems)


def _provider_so_far(merged: Merged, environ: Mapping[str, str], overrides: Mapping[str, object]) -> str:
    """Whose key the environment is asked for; empty: whosever it has. Only what is certain counts."""
    llm = merged.tree.get("llm", {})
    named = str(
        overrides.get("llm.provider") or environ.get(f"{PREFIX}LLM__PROVIDER") or llm.get("provider") or ""
    )
    if named.strip():
        return named.strip().lower()
    elsewhere = llm.get("api_key") or llm.get("endpoint") or environ.get(f"{PREFIX}LLM__ENDPOINT")
    return "openai" if elsewhere or environ.get("OPENCLAW_ENDPOINT") else ""


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Choose the file to read; one that is named must exist, the default one need not."""
    if path is not None:
        return path
    if named := environ.get(CONFIG_PATH_VARIABLE, "").strip():
        return expand(named, environ)
    # A link that leads nowhere was meant to lead to a configuration, so it is not passed over.
    return DEFAULT_FILE if os.path.lexists(DEFAULT_FILE) else None


def _add_file(merged: Merged, path: Path) -> None:
    name = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        text = f"the configuration file cannot be read: {error.strerror}"
        merged.problems.append(Problem(kind="file", where=name, allowed=text))
        return
    document = parse_document(data, where=name)
    merged.problems += document.problems
    if document.problems and not document.tree:
        merged.tree = state_dir_in(data)

    def where(at: KeyPath) -> str:
        # The document counts entries of a list as steps of their own: `a`, `0` for `a[0]`.
        at = tuple(step for part in at for step in part.removesuffix("]").split("["))
        while at and at not in document.lines:
            at = at[:-1]
        return f"{name}:{document.lines[at]}" if at else name

    merged.add(Layer(document.tree, where))


def _tree_of(overrides: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in overrides.items():
        *sections, last = key.split(".")
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return tree


def _derive(merged: Merged, environ: Mapping[str, str]) -> GatewayConfig:
    """Build the typed tree from the good values, and fill in the defaults that follow from others."""
    base: GatewayConfig = msgspec.convert(merged.tree, GatewayConfig)
    given = merged.sources
    replace = msgspec.structs.replace
    state = expand(base.state_dir, environ)
    workspace = expand(base.workspace, environ) if "workspace" in given else state / "workspace"
    storage = base.memory.storage_path
    storage = str(expand(storage, environ) if "memory.storage_path" in given else state / "memory")
    llm = base.llm
    if "llm.provider" not in given:
        if given.get("llm.api_key") == f"environment {ANTHROPIC_KEY}":
            llm = replace(llm, provider="anthropic")
        elif llm.api_key is not None:
            llm = replace(llm, provider="openai")
        elif llm.endpoint is not None:
            llm = replace(llm, provider="openai-compatible")
    llm = with_defaults_of_provider(llm, given)
    roots = {}
    for name in ("allowed_read_roots", "allowed_write_roots"):
        paths = getattr(base.tooling, name)
        expanded = tuple(path if path == "*" else str(expand(path, environ)) for path in paths)
        roots[name] = expanded if f"tooling.{name}" in given else (str(workspace),)
    tls = {
        name: None if path is None else str(expand(path, environ))
        for name, path in (("certificate", base.tls.certificate), ("key", base.tls.key))
    }
    return replace(
        base,
        tls=replace(base.tls, **tls),
        state_dir=str(state),
        workspace=str(workspace),
        memory=replace(base.memory, storage_path=storage),
        llm=llm,
        tooling=replace(base.tooling, **roots),
    )


def _keys_named_in(text: str) -> list[str]:
    """The keys that a rule compares with: where one has a problem of its own, the rule saw its default instead."""
    return [word for word in text.replace(",", " ").split() if field_kind(tuple(word.split("."))) is not None]


def _bounded(problems: list[Problem]) -> list[Problem]:
    left_out = len(problems) - MAX_PROBLEMS
    if left_out <= 0:
        return problems
    return [*problems[:MAX_PROBLEMS], Problem(kind="more", allowed=str(left_out))]


def _placed(problem: Problem, sources: Mapping[str, str]) -> Problem:
    key = problem.key
    where = sources.get(key) or sources.get(key.partition("[")[0], "")
    return msgspec.structs.replace(problem, where=where)


def _warnings(
    config: GatewayConfig, sources: Mapping[str, str], from_file: Mapping[str, tuple[str, object]]
) -> list[str]:
    found = []
    known = frozenset(key_names())  # others stand in a mapping, which is empty by default
    for prefix in NOT_YET:
        keys = [key for key in sources if key == prefix or key.startswith(prefix + ".")]
        changed = sorted(key for key in keys if key not in known or _at(config, key) != _at(_DEFAULTS, key))
        if changed:
            found.append(f"{prefix} has no effect yet: {', '.join(changed)} [{sources[changed[0]]}]")
    for key, (place, value) in from_file.items():
        same = sources[key].replace("environment ", "env:") == value  # the file names that very variable
        if sources[key] != place and not same:
            found.append(f"{key} of {place} is not used: {sources[key]} is set")
    return found


def _at(root: object, key: str) -> object:
    """Get a value by its dotted key; None where there is no such entry."""
    current: Any = root
    for part in key.split("."):
        current = current.get(part) if isinstance(current, dict) else getattr(current, part, None)
    return current


def _all_sources(config: GatewayConfig, merged: Merged) -> dict[str, str]:
    sources = {}
    for path in _leaves(config, ()):
        key = ".".join(path)
        # What lies inside a plugin's own settings came with the settings.
        above = (".".join(path[:end]) for end in range(len(path), 0, -1))
        fallback = "derived" if key in DERIVED else "default"
        sources[key] = next((merged.sources[each] for each in above if each in merged.sources), fallback)
    return sources


def _leaves(value: object, path: KeyPath) -> list[KeyPath]:
    if isinstance(value, msgspec.Struct):
        inner = [(field, getattr(value, field)) for field in value.__struct_fields__]
    elif isinstance(value, dict) and value:
        inner = list(value.items())
    else:
        return [path]
    return [leaf for name, each in inner for leaf in _leaves(each, (*path, name))]
