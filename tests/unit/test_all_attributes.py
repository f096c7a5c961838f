"""Every module says what it offers: it has `__all__`, sorted by ruff, of names that exist."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "openclaw_actors"
NAMES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def is_main(name: str) -> bool:
    return name.endswith("__main__")


@pytest.mark.parametrize("name", [name for name in NAMES if not is_main(name)])
def test_module_exports_what_it_says(name: str) -> None:
    module = importlib.import_module(name)
    assert isinstance(getattr(module, "__all__", None), list), f"{name} has no __all__"
    assert len(set(module.__all__)) == len(module.__all__)
    missing = [each for each in module.__all__ if not hasattr(module, each)]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_module_says_what_it_decides_or_owns(name: str) -> None:
    path = PACKAGE.parent.joinpath(*name.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text()))
    assert docstring, f"{name} has no docstring"
    assert docstring.splitlines()[0].strip(), f"{name}: the first line says what the module decides or owns"
