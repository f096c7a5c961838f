"""Decides how a configuration is shown: everything in it, but no secret."""

from __future__ import annotations

__all__ = ["MASK", "mask", "without_secrets"]

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from openclaw_actors.config.checks import Kind, kind_of
from openclaw_actors.config.model import GatewayConfig, root_type

MASK = "***"
_WITHHELD = object()
_RAW = re.compile(r"(?is)^raw:.*")
_QUERY = re.compile(r"(?<=[?&])([^=&#]+)=[^&#]+")
_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential|auth")


def mask(config: GatewayConfig) -> dict[str, Any]:
    """Turn a configuration into plain data for people; `env:` and `file:` references stay, values go."""
    shown = _masked(config, kind_of(root_type()))
    assert isinstance(shown, dict)
    return shown


def without_secrets(tree: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Take out of the tree of a source every value that is, or could be, a secret; references stay.

    Returns:
        What is left, and the dotted keys of what was taken out.
    """
    withheld: list[str] = []
    kept = _kept(tree, kind_of(root_type()), (), withheld)
    assert isinstance(kept, dict)
    return kept, tuple(withheld)


def _kept(value: Any, kind: Kind, path: tuple[str, ...], withheld: list[str]) -> Any:
    match kind.type:
        case inspect.StructType(fields=fields) if isinstance(value, Mapping):
            inner = {each.encode_name: kind_of(each.type) for each in fields}
        case inspect.DictType(value_type=of_all) if isinstance(value, Mapping) and kind.rule != "free":
            inner = dict.fromkeys(value, kind_of(of_all))
        case inspect.VarTupleType(item_type=item) if isinstance(value, list | tuple):
            before = len(withheld)
            entries = [_kept(each, kind_of(item), path, withheld) for each in value]
            # A list that lacks something is another list: none of it is kept.
            return _WITHHELD if len(withheld) > before else entries
        case _:
            if value is None or _masked(value, kind) == value:
                return value
            withheld.append(".".join(path))
            return _WITHHELD
    kept = {name: _kept(each, inner[name], (*path, str(name)), withheld) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each is not _WITHHELD}


def _masked(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind.rule == "private":
        return MASK
    if kind.rule == "setting" and not kind.refers(value):
        return MASK
    if kind.rule in ("secret", "setting"):
        return f"raw:{MASK}" if value.lower().startswith("raw:") else value
    if kind.rule == "free":
        return _masked_free(value)
    if kind.rule == "url":
        return _QUERY.sub(rf"\1={MASK}", value)
    match kind.type:
        case inspect.StructType(fields=fields) if isinstance(value, msgspec.Struct):
            return {
                each.encode_name: _masked(getattr(value, each.name), kind_of(each.type)) for each in fields
            }
        case inspect.DictType(value_type=inner):
            return {name: _masked(each, kind_of(inner)) for name, each in value.items()}
        case inspect.VarTupleType(item_type=inner):
            return [_masked(each, kind_of(inner)) for each in value]
    return value


def _masked_free(value: Any) -> Any:
    """Mask what is named like a secret in settings whose shape only a plugin knows."""
    if isinstance(value, dict):
        return {
            name: MASK if _SECRET_NAME.search(str(name)) else _masked_free(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_masked_free(each) for each in value]
    if isinstance(value, str):
        return _RAW.sub(f"raw:{MASK}", value)
    return value
