"""Decides how a configuration is shown: everything in it, but no secret."""

from __future__ import annotations

__all__ = ["MASK", "mask"]

import re
from typing import Any

import msgspec
from msgspec import inspect

from openclaw_actors.config.checks import Kind, kind_of
from openclaw_actors.config.model import GatewayConfig

MASK = "***"
_RAW = re.compile(r"(?is)^raw:.*")
_QUERY = re.compile(r"(?<=[?&])([^=&#]+)=[^&#]+")
_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential|auth")


def mask(config: GatewayConfig) -> dict[str, Any]:
    """Turn a configuration into plain data for people; `env:` and `file:` references stay, values go."""
    shown = _masked(config, kind_of(inspect.type_info(GatewayConfig)))
    assert isinstance(shown, dict)
    return shown


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
