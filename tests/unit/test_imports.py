"""The direction of imports: read from the source, so that one inside a function counts too."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "openclaw_actors"

LEAVES = {"messages", "config", "errors", "linewriter", "logs", "proctree"}
SIDE_BY_SIDE = {"actorsystem", "channels", "agent", "providers", "tools", "store"}
MAY_IMPORT: dict[str, set[str]] = {
    # The last layer imports nothing of ours; the exceptions are what everything may raise.
    **{leaf: {"errors"} for leaf in LEAVES},
    "core": LEAVES,
    # Packages of this layer do not import each other.
    **{name: LEAVES | {"core"} for name in SIDE_BY_SIDE},
    "actors": LEAVES | {"core"} | SIDE_BY_SIDE,
    "cli": LEAVES | {"core", "actors"} | SIDE_BY_SIDE,
    "__main__": {"cli"},
    "": set(),
}
THESPIAN_ONLY_IN = {"actorsystem", "actors"}

TOLERATED: dict[tuple[str, str], str] = {}
"""(module, imported module) -> why; empty is how it should stay."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def area(module: str) -> str:
    """The part of the package that a module of ours belongs to: `store`, `errors`, …"""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, absolute, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide their direction"
            assert node.module is not None
            if node.module == "openclaw_actors":
                for alias in node.names:
                    yield f"openclaw_actors.{alias.name}", node.lineno
            else:
                yield node.module, node.lineno


def problems(path: Path) -> Iterator[str]:
    module = dotted(path)
    here = area(module)
    for imported, line in imports(path):
        top = imported.split(".")[0]
        place = f"{module}:{line} imports {imported}"
        if (module, imported) in TOLERATED:
            continue
        if top == "thespian" and here not in THESPIAN_ONLY_IN:
            yield f"{place}: Thespian belongs to {sorted(THESPIAN_ONLY_IN)}"
        if top != "openclaw_actors":
            continue
        there = area(imported)
        if there == here == "actors" and path.name != "__init__.py":
            if imported.split(".")[-1] in ACTOR_FILES:
                yield f"{place}: actors know each other by messages only"
        elif there not in (here, "__version__") and there not in MAY_IMPORT[here]:
            yield f"{place}: {here or 'the package'} may import {sorted(MAY_IMPORT[here])}"


def defines_an_actor(path: Path) -> bool:
    tree = ast.parse(path.read_text())
    bases = (base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases)
    return any(isinstance(base, ast.Name) and base.id == "AsyncActor" for base in bases)


ACTOR_FILES = {path.stem for path in (PACKAGE / "actors").glob("*.py") if defines_an_actor(path)}


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_point_in_one_direction(path: Path) -> None:
    assert list(problems(path)) == []


def test_every_area_has_its_place() -> None:
    assert {area(dotted(path)) for path in modules()} <= set(MAY_IMPORT)


def test_no_exception_is_out_of_date() -> None:
    present = {(dotted(path), imported) for path in modules() for imported, _ in imports(path)}
    assert set(TOLERATED) <= present


TOOLS = ("openclaw_actors", "benchmarks", "chaos")
NAMED_OTHERWISE = {"yaml": "pyyaml", "markdown_it": "markdown-it-py"}
BROUGHT_BY = {"yarl": "aiohttp", "anyio": "mcp", "mcp_types": "mcp", "httpx2": "mcp", "pydantic": "mcp"}
OPTIONAL = {
    "matplotlib": "scripts/bench says what to install",
    "anthropic": "a provider's, checked where it is chosen",
}


def test_what_the_scripts_run_needs_no_more_than_is_installed_with_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    required = {
        re.split(r"[ <>=]", line)[0] for line in setup["options"]["install_requires"].split("\n") if line
    }
    found = {
        f"{path.relative_to(PACKAGE.parent)}:{line} imports {imported}"
        for tool in TOOLS
        for path in (PACKAGE.parent / tool).rglob("*.py")
        for imported, line in imports(path)
        if not _is_there(imported, required)
    }
    assert not found


def _is_there(imported: str, required: set[str]) -> bool:
    if imported.startswith("thespian.test"):
        return False  # it needs pytest
    top = imported.split(".")[0]
    name = NAMED_OTHERWISE.get(top) or BROUGHT_BY.get(top) or top.replace("_", "-")
    ours = top in sys.stdlib_module_names or top in TOOLS or top in OPTIONAL
    return ours or name in required or top in required
