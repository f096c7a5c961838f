"""Owns the reference of the keys: made from their types and the comments of `conf/gateway.yaml`.

`python -m tests.unit.config.reference` writes it into `docs/configuration.md`; a test says when that is due.
"""

from __future__ import annotations

__all__ = ["DOCUMENT", "EXAMPLE", "in_document", "leaf_keys", "meanings", "render"]

import json
import re
from pathlib import Path

from msgspec import inspect

from openclaw_actors.config import GatewayConfig, mask
from openclaw_actors.config.checks import Kind, describe
from openclaw_actors.config.effects import concern_of
from openclaw_actors.config.layers import field_kind, key_names
from openclaw_actors.config.model import DERIVED, NOT_YET

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "conf" / "gateway.yaml"
DOCUMENT = ROOT / "docs" / "configuration.md"
BEGIN, END = "<!-- reference: made by tests/unit/config/reference.py -->", "<!-- end of the reference -->"
UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "ms": "milliseconds",
    "chars": "characters",
    "mb": "MiB",
    "kb": "KiB",
}
SHARED = "(with the one above)"
_LINE = re.compile(r"(?P<indent> *)(?:# (?P<comment>.*)|(?P<name>[a-z0-9_]+):(?P<value>.*))")


def leaf_keys() -> list[str]:
    """Every key that is no section, in the order of the types."""
    return [key for key in key_names() if not isinstance(kind_of_key(key).type, inspect.StructType)]


def kind_of_key(key: str) -> Kind:
    kind = field_kind(tuple(key.split(".")))
    assert kind is not None, key
    return kind


def meanings(text: str) -> dict[str, str]:
    """What the example says of each key: the comment above it, or above the ones before it in the same block."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    used = False
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            comment, used = [], False
        elif match["comment"] is not None:
            comment = [match["comment"]] if used else [*comment, match["comment"]]
            used = False
        else:
            path = [*path[: len(match["indent"]) // 2], match["name"]]
            if match["value"]:
                found[".".join(path)] = SHARED if used else " ".join(comment)
                used = bool(comment)
            else:
                comment, used = [], False
    return found


def allowed(key: str) -> str:
    """What may stand in a key, with its unit."""
    kind = kind_of_key(key)
    text = describe(kind)
    unit = UNITS.get(key.rpartition("_")[2])
    if unit and isinstance(kind.type, inspect.IntType | inspect.FloatType):
        text = f"{unit}, {text}"
    return f"{text}, or null" if kind.optional else text


def default(key: str, defaults: dict[str, object]) -> str:
    if key in DERIVED:
        return DERIVED[key].replace("<", "&lt;")
    value: object = defaults
    for part in key.split("."):
        assert isinstance(value, dict)
        value = value[part]
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return f"`{json.dumps(value)}`"


def takes_effect(key: str) -> str:
    """When a change of a key holds, after a reload."""
    concerned = concern_of(key)
    restarted = [name for name, effect in concerned.items() if effect == "actor_restart"]
    if "gateway_restart" in concerned.values():
        return "gateway restart"
    if restarted:
        names = ", ".join(f"`{'mcp:NAME' if name == 'mcp' else name}`" for name in restarted)
        return f"restart of {names}"
    return "at once; from the next turn on" if "sessions" in concerned else "at once"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def render() -> str:
    """The tables, one for each section that holds keys."""
    defaults = mask(GatewayConfig())
    said = meanings(EXAMPLE.read_text())
    sections: dict[str, list[str]] = {}
    for key in leaf_keys():
        sections.setdefault(key.rpartition(".")[0], []).append(key)
    parts = []
    for section, keys in sections.items():
        waits = any(section == each or section.startswith(f"{each}.") for each in NOT_YET)
        title = f"`{section}`" if section else "At the top level"
        rows = [
            f"| `{key.rpartition('.')[2]}` | {_cell(default(key, defaults))} | {_cell(allowed(key))} "
            f"| {takes_effect(key)} | {_cell(said[key])}{' *No effect yet.*' if key in NOT_YET else ''} |"
            for key in keys
        ]
        note = ["Accepted, without effect yet.", ""] if waits else []
        head = ["| key | default | may be | takes effect | |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {title}", "", *note, *head, *rows]))
    return "\n\n".join(parts)


def in_document(text: str) -> str:
    """The part of the document that is made."""
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    """Write the reference anew."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{render()}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
