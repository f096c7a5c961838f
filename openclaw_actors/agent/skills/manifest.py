"""Reads a `SKILL.md`: its front matter, which is YAML or what people take for it, and the instructions behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["InvalidSkill", "Manifest", "read_manifest", "split_front_matter"]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OURS = ("openclaw", "clawdbot", "clawdis", "moltbot")
"""Under which of the front matter's `metadata` our keys stand: the names that the ecosystem has had."""
_END = re.compile(r"^---[ \t]*$", re.MULTILINE)
_KEY = re.compile(r"([A-Za-z][\w-]*):(?:[ \t]+(.*)|)$")
_MAX_FRONT_MATTER = 65_536
_MAX_NAME_CHARS = 100
_MAX_DESCRIPTION_CHARS = 1_024
_MAX_ENTRIES = 100


class InvalidSkill(ValueError):
    """Raised for what is no skill; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the front matter says."""

    name: str
    description: str = ""
    user_invocable: bool = True
    model_invocable: bool = True
    homepage: str = ""
    emoji: str = ""
    always: bool = False
    """Nothing that it requires is asked for."""
    skill_key: str = ""
    """Under which name of `skills.entries` its settings stand; empty: its own."""
    primary_env: str = ""
    """The variable that `skills.entries.NAME.api_key` stands for."""
    os: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    any_bins: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


def split_front_matter(text: str) -> tuple[str, str]:
    """The front matter and the instructions.

    Raises:
        InvalidSkill: there is none, it has no end, or it is too long.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        raise InvalidSkill("it does not begin with a line ---")
    end = _END.search(text, 4)
    if end is None:
        raise InvalidSkill("its front matter has no end")
    if end.start() > _MAX_FRONT_MATTER:
        raise InvalidSkill(f"its front matter is longer than {_MAX_FRONT_MATTER} characters")
    return text[4 : end.start()], text[end.end() :].strip()


def read_manifest(text: str) -> Manifest:
    """What the front matter of a `SKILL.md` says.

    Raises:
        InvalidSkill: it is none, or lacks a name.
    """
    front, _ = split_front_matter(text)
    keys = {str(key).lower(): value for key, value in _mapping_of(front).items()}
    name = _text(keys.get("name"))
    if not name or len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise InvalidSkill(f"its name must be 1 to {_MAX_NAME_CHARS} printable characters")
    metadata = keys.get("metadata")
    if isinstance(metadata, str):
        metadata = _loaded(metadata)
    ours: object = None
    if isinstance(metadata, Mapping):
        ours = next((metadata[each] for each in _OURS if each in metadata), None)
    more: Mapping[Any, Any] = ours if isinstance(ours, Mapping) else {}
    requires = more.get("requires")
    needs: Mapping[Any, Any] = requires if isinstance(requires, Mapping) else {}
    return Manifest(
        name=name,
        description=_text(keys.get("description"))[:_MAX_DESCRIPTION_CHARS],
        user_invocable=_flag(keys.get("user-invocable"), default=True),
        model_invocable=not _flag(keys.get("disable-model-invocation"), default=False),
        homepage=_text(keys.get("homepage") or more.get("homepage")),
        emoji=_text(more.get("emoji"))[:16],
        always=_flag(more.get("always"), default=False),
        skill_key=_text(more.get("skillKey")),
        primary_env=_text(more.get("primaryEnv")),
        os=_texts(more.get("os")),
        bins=_texts(needs.get("bins")),
        any_bins=_texts(needs.get("anyBins")),
        env=_texts(needs.get("env")),
        config=_texts(needs.get("config")),
    )


def _mapping_of(front: str) -> Mapping[Any, Any]:
    loaded = _loaded(front)
    if isinstance(loaded, Mapping):
        return loaded
    # Many published skills are no YAML: a description with a colon or an asterisk in it, without quotes.
    return _by_lines(front)


def _loaded(text: str) -> object:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError):
        return None


def _by_lines(front: str) -> dict[str, object]:
    values: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in front.split("\n"):
        match = _KEY.match(line)
        if match is not None:
            last = values.setdefault(match[1], [])
            last.append(match[2] or "")
        elif last is not None and line[:1] in (" ", "\t"):
            last.append(line.strip())
    return {key: " ".join(lines).strip() for key, lines in values.items()}


def _text(value: object) -> str:
    """One line of text, whatever stands there."""
    if value is None or isinstance(value, Mapping | list | set):
        return ""
    return " ".join(str(value).split())


def _texts(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    return tuple(text for entry in entries[:_MAX_ENTRIES] if (text := _text(entry)))


def _flag(value: object, *, default: bool) -> bool:
    text = _text(value).lower()
    return default if not text else text in ("true", "yes", "on", "1")
