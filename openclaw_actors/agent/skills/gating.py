"""Decides whether a skill can be used here, and says what is missing where it cannot."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping

import msgspec

from openclaw_actors.agent.skills.manifest import Manifest
from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.features import SkillEntry

__all__ = ["entry_of", "missing"]

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_SYSTEM = "win32" if sys.platform == "win32" else "darwin" if sys.platform == "darwin" else "linux"


def entry_of(manifest: Manifest, config: GatewayConfig) -> SkillEntry:
    """The skill's settings in the configuration."""
    entries = config.skills.entries
    for key in (manifest.skill_key, manifest.name):
        if key in entries:
            return entries[key]
    return SkillEntry()


def missing(
    manifest: Manifest,
    config: GatewayConfig,
    *,
    bundled: bool,
    environ: Mapping[str, str],
    which: Callable[[str], str | None] = shutil.which,
) -> str:
    """What stands in the way of using the skill; empty: nothing."""
    allowed = config.skills.allow_bundled
    if bundled and allowed and not {manifest.name, manifest.skill_key} & set(allowed):
        return "it is not among skills.allow_bundled"
    entry = entry_of(manifest, config)
    if not entry.enabled:
        return "it is switched off in skills.entries"
    if manifest.always:
        return ""
    if manifest.os and _SYSTEM not in manifest.os:
        return f"it is for {', '.join(manifest.os)}"
    lacking = [each for each in manifest.bins if which(each) is None]
    if lacking:
        return f"it needs the programs {', '.join(lacking)}"
    if manifest.any_bins and not any(which(each) for each in manifest.any_bins):
        return f"it needs one of the programs {', '.join(manifest.any_bins)}"
    unset = [each for each in manifest.env if not _is_set(each, manifest, entry, environ)]
    if unset:
        return f"it needs the variables {', '.join(unset)}"
    off = [each for each in manifest.config if not (_is_on(config, each) or _is_on(entry.config, each))]
    return f"it needs the settings {', '.join(off)}" if off else ""


def _is_set(name: str, manifest: Manifest, entry: SkillEntry, environ: Mapping[str, str]) -> bool:
    if environ.get(name) or entry.env.get(name):
        return True
    return name == manifest.primary_env and entry.api_key is not None


def _is_on(tree: object, key: str) -> bool:
    """Whether a setting of this dotted name has a value that is neither empty nor false."""
    for part in key.split("."):
        if isinstance(tree, Mapping):
            tree = tree.get(part, tree.get(_snake(part)))
        elif isinstance(tree, msgspec.Struct):
            tree = getattr(tree, _snake(part), None)
        else:
            return False
    return bool(tree)


def _snake(name: str) -> str:
    return _CAPITAL.sub(r"_\1", name).lower()
