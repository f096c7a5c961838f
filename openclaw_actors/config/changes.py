"""Decides what the difference between two configurations is, and what has to be done for it, actor by actor."""

from __future__ import annotations

__all__ = ["Change", "Task", "changes", "pinned", "tasks_of"]

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from openclaw_actors.config.effects import Effect, concerns_of, effect_of
from openclaw_actors.config.masking import mask
from openclaw_actors.config.model import GatewayConfig
from openclaw_actors.config.problems import shown

Task: TypeAlias = Literal["tell", "restart", "start", "end"]
"""What is done to an actor: it is told, replaced by another process, there is one now, or none any more."""

_NOT_SET = "(not set)"
_ANOTHER_VALUE = "(another value)"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One key that is another than before."""

    key: str
    before: str
    """As a person may see it: secrets are masked."""
    after: str
    effect: Effect


def changes(
    before: GatewayConfig, after: GatewayConfig, *, other_values: Iterable[str] = ()
) -> tuple[Change, ...]:
    """Every key that differs, in the order of the types; those of a mapping after them.

    Args:
        other_values: keys of secrets whose value is another, though their reference may be the same.
    """
    old, new = _leaves(msgspec.to_builtins(before)), _leaves(msgspec.to_builtins(after))
    old_shown, new_shown = _leaves(mask(before)), _leaves(mask(after))
    renewed = set(other_values)
    found = []
    for key in dict.fromkeys((*new, *old, *sorted(renewed))):
        if old.get(key, _NOT_SET) == new.get(key, _NOT_SET) and key not in renewed:
            continue
        left, right = _text(old_shown, key), _text(new_shown, key)
        if left == right:
            right = _ANOTHER_VALUE
        found.append(Change(key=key, before=left, after=right, effect=effect_of(key)))
    return tuple(found)


def _text(leaves: Mapping[str, Any], key: str) -> str:
    return shown(leaves[key]) if key in leaves else _NOT_SET


def _leaves(value: object, key: str = "") -> dict[str, Any]:
    """Dotted key -> value; a mapping without entries is nothing."""
    if not isinstance(value, dict):
        return {key: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found.update(_leaves(inner, f"{key}.{name}" if key else str(name)))
    return found


def pinned(before: GatewayConfig, after: GatewayConfig) -> dict[str, object]:
    """The keys that only another start of the gateway can change, with the values that stay until then."""
    old = _leaves(msgspec.to_builtins(before))
    return {
        each.key: old[each.key]
        for each in changes(before, after)
        if each.effect == "gateway_restart" and each.key in old
    }


def tasks_of(
    found: Iterable[Change], *, before: frozenset[str], after: frozenset[str]
) -> dict[str, tuple[Task, tuple[str, ...]]]:
    """What has to be done for some changes.

    Args:
        found: what differs.
        before: the services that there are.
        after: the services that there are to be.

    Returns:
        Name of an actor -> what is done to it, and the keys that it is done for. Who is not concerned is not in it.
    """
    keys: dict[str, list[str]] = {}
    hard: set[str] = set()
    services = before | after
    for change in found:
        if change.effect == "gateway_restart":
            continue
        for name, effect in concerns_of(change.key, services).items():
            keys.setdefault(name, []).append(change.key)
            if effect == "actor_restart":
                hard.add(name)
    tasks: dict[str, tuple[Task, tuple[str, ...]]] = {}
    for name, its in keys.items():
        task: Task = "restart" if name in hard else "tell"
        if name in services and name not in before:
            task = "start"
        elif name in services and name not in after:
            task = "end"
        tasks[name] = task, tuple(its)
    for name in sorted(before ^ after):
        tasks.setdefault(name, ("end" if name in before else "start", ()))
    return tasks
