"""Decides what the environment contributes: the dedicated variables, and `OPENCLAW__SECTION__KEY` for any key."""

from __future__ import annotations

__all__ = ["ANTHROPIC_KEY", "CONFIG_PATH_VARIABLE", "DEDICATED", "PREFIX", "read_environment"]

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yaml
from msgspec import inspect

from openclaw_actors.config.checks import Kind, describe, is_reference, kind_of
from openclaw_actors.config.document import parse_value
from openclaw_actors.config.layers import KeyPath, Layer, field_kind, nearest, replacement
from openclaw_actors.config.problems import Problem

PREFIX = "OPENCLAW__"
CONFIG_PATH_VARIABLE = "OPENCLAW_CONFIG_PATH"

DEDICATED: Mapping[str, str] = MappingProxyType(
    {
        # Earlier ones win where several name one key.
        "OPENCLAW_API_KEY": "llm.api_key",
        "OPENAI_API_KEY": "llm.api_key",
        "MODEL_PROVIDER_KEY": "llm.api_key",
        "ANTHROPIC_API_KEY": "llm.api_key",
        "OPENCLAW_MODEL": "llm.model",
        "OPENCLAW_ENDPOINT": "llm.endpoint",
        "OPENCLAW_AUTH_TOKEN": "auth_token",
        "OPENCLAW_WORKSPACE": "workspace",
        "OPENCLAW_PROJECT": "memory.project_id",
        "OPENCLAW_STATE_DIR": "state_dir",
        "TWILIO_AUTH_TOKEN": "channels.sms.twilio.auth_token_ref",
    }
)
"""Variables with a name of their own, and their key.

Where the key is a secret, the variable may hold the secret itself or a reference to it: `file:/run/secrets/token` taken
at its word would be a token that anybody can guess.
"""

ANTHROPIC_KEY = "ANTHROPIC_API_KEY"
"""Other programs' key, in many environments: it counts for the provider anthropic, or where nothing names another."""

_OPENAI_KEY = "OPENAI_API_KEY"


class Environment:
    """What the environment says: a layer, its problems, its warnings."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.variables: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    @property
    def layer(self) -> Layer:
        """The layer to put over the file."""
        return Layer(self.tree, self._where)

    def _where(self, path: KeyPath) -> str:
        for end in range(len(path), 0, -1):
            if name := self.variables.get(path[:end]):
                return f"environment {name}"
        return "environment"

    def put(self, path: KeyPath, value: Any, variable: str) -> None:
        """Set one key."""
        section = self.tree
        for part in path[:-1]:
            inner = section.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = section[part] = {}
            section = inner
        section[path[-1]] = value
        self.variables[path] = variable


def read_environment(environ: Mapping[str, str], *, provider: str = "") -> Environment:
    """Collect what the environment sets. A variable that is set but blank counts as not set.

    Args:
        environ: the environment.
        provider: the model provider that is settled by now; empty: none is. Nobody gets another one's key.
    """
    found = Environment()
    foreign = _OPENAI_KEY if provider == "anthropic" else ANTHROPIC_KEY if provider else ""
    for name, key in reversed(list(DEDICATED.items())):
        if name == foreign:
            continue
        value = environ.get(name, "")
        path = tuple(key.split("."))
        kind = field_kind(path)
        assert kind is not None, key
        if value.strip():
            itself = kind.secret and not is_reference(value)
            found.put(path, f"env:{name}" if itself else value, name)
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name].strip():
            _read_generic(found, name, environ[name])
        elif name.upper().startswith("OPENCLAW_") and not name.startswith(PREFIX):
            _look_for_slip(found, name)
    return found


def _read_generic(found: Environment, name: str, text: str) -> None:
    path = _path_of(name)
    kind = field_kind(path)
    if kind is None:
        key = ".".join(path)
        if new := replacement(key):
            found.problems.append(Problem(kind="replaced", key=key, allowed=new, where=f"environment {name}"))
            return
        unknown = next(path[:end] for end in range(1, len(path) + 1) if field_kind(path[:end]) is None)
        hint = f"the nearest is {nearest(unknown)}"
        found.problems.append(Problem(kind="unknown", key=key, where=f"environment {name}", hint=hint))
        return
    try:
        found.put(path, _parse(kind, text), name)
    except ValueError:
        found.problems.append(
            Problem(kind="value", key=".".join(path), allowed=describe(kind), where=f"environment {name}")
        )


def _path_of(name: str) -> KeyPath:
    """Split a variable's name; keys of ours are lower case, names below a mapping stay as they are."""
    path: KeyPath = ()
    for part in name.removeprefix(PREFIX).split("__"):
        lowered = (*path, part.lower())
        above = field_kind(path)
        is_name = above is not None and isinstance(above.type, inspect.DictType)
        path = (*path, part) if is_name else lowered
    return path


def _parse(kind: Kind, text: str) -> Any:
    """Read a variable's text as what its key wants: texts as they stand, everything else as YAML."""
    match kind.type:
        case inspect.StrType() | inspect.LiteralType():
            return None if kind.optional and text.strip() in ("null", "~") else text
        case inspect.VarTupleType(item_type=item) if isinstance(kind_of(item).type, inspect.StrType):
            return _parse_texts(text)
        case _:
            return parse_value(text)


def _parse_texts(text: str) -> Any:
    """Read `[a, b]` or `a, b`; every entry stays a text, so that +1555… is not taken for a number."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    parse_value(text)  # for the limits
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # it makes nothing but texts and lists
    except yaml.YAMLError as error:
        raise ValueError("not a list") from error


def _look_for_slip(found: Environment, name: str) -> None:
    known = [*DEDICATED, CONFIG_PATH_VARIABLE]
    if name in known:
        return
    if name.upper().startswith(PREFIX) or name.upper() in known:
        found.warnings.append(f"the environment variable {name} is not used; did you mean {name.upper()}?")
        return
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
        found.warnings.append(f"the environment variable {name} is not used; did you mean {close[0]}?")
