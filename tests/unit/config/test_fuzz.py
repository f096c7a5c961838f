"""Whatever a configuration says: it is loaded, or every problem is named with its key; it is never a crash."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors import config
from openclaw_actors.errors import ConfigError

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
    | st.sampled_from(
        ("env:NOPE", "raw:x", "file:/nope", "file:", "~/x", "http://", "127.0.0.1", "::", "1e999")
    )
    | st.dates()
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def _keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in tree.items():
        found.append(prefix + name)
        if isinstance(value, dict):
            found += _keys(value, f"{prefix}{name}.")
    return found


_KEYS = _keys(
    msgspec.to_builtins(config.load(None, {"HOME": "/home/me", "OPENCLAW_CONFIG_PATH": ""}, {}).config)
)


def _load(data: bytes, environ: dict[str, str]) -> list[str]:
    """What is said of it; nothing, if it is loaded."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "g.yaml"
        path.write_bytes(data)
        try:
            config.load(path, {"HOME": "/home/me", **environ}, {})
        except ConfigError as error:
            return str(error).splitlines()
    return []


def _document(settings_: dict[str, Any]) -> bytes:
    tree: dict[str, Any] = {}
    for key, value in settings_.items():
        *above, name = key.split(".")
        level = tree
        for part in above:
            below = level.setdefault(part, {})
            if not isinstance(below, dict):
                break
            level = below
        else:
            level[name] = value
    return yaml.safe_dump(tree, allow_unicode=True).encode()


@settings(max_examples=200, deadline=None)
@given(said=st.dictionaries(st.sampled_from(_KEYS), _VALUES, min_size=1, max_size=3))
def test_any_value_of_any_key_is_taken_or_refused_by_name(said: dict[str, Any]) -> None:
    problems = _load(_document(said), {})
    tops = {key.partition(".")[0] for key in said}
    for line in problems:
        assert any(top in line for top in tops), line
        assert "Traceback" not in line


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_configuration_or_an_error(data: bytes) -> None:
    _load(data, {})


@settings(max_examples=100, deadline=None)
@given(
    key=st.sampled_from(_KEYS),
    text=st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=40),
)
def test_any_variable_is_taken_or_refused_by_name(key: str, text: str) -> None:
    name = "OPENCLAW__" + key.upper().replace(".", "__")
    for line in _load(b"", {name: text}):
        assert name in line or key.partition(".")[0] in line, line


def test_there_are_keys_to_try() -> None:
    assert len(_KEYS) > 100
