"""README and docs/: what they lead to, run and set exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from openclaw_actors.cli.main import cli
from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.layers import field_kind, key_names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
EVERY = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
KEYS = frozenset(key_names())
NOT_KEYS = frozenset({"md", "py", "json", "jsonl", "yaml", "log", "html", "js", "css", "sh", "conf", "lock"})
"""How names of files end that begin like a section of the configuration."""
FILES_OF_EXAMPLES = frozenset({"openclaw_actors/tools/disk_room.py"})
REPLACED = re.compile(r"replaced|is gone|instead|was called")
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?<![\w./~-])(?:openclaw-actors|(?P<run>scripts/run)) (?P<words>[\[a-z-][^`#\n]*)")


def slugs(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    seen: dict[str, int] = {}
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return found


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text))


@EVERY
def test_each_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in links(document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in slugs(target.read_text())):
            broken.append(link)
    assert broken == []


def test_the_index_leads_to_every_document() -> None:
    index = DOCS / "README.md"
    led_to = {link.partition("#")[0] for link in links(index.read_text())}
    assert {path.name for path in DOCS.glob("*.md")} - {index.name} - led_to == set()


def code_of(text: str) -> str:
    """What stands in fences and between backticks: elsewhere the name is that of the project."""
    inline = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return "\n".join([*FENCE.findall(text), *inline])


def words_of(said: str) -> list[str]:
    said = re.split(r" \| | && |[;>)│]|  ", said.strip())[0].rstrip(" &\"'…,.:")
    # `[--json]`: may be left out; `list|show`: one of them.
    try:
        return shlex.split(re.sub(r"[\[\]]", "", said))
    except ValueError:
        return said.split()


def what_is_wrong(words: list[str]) -> Iterator[str]:
    """The words of a command line that the program does not know."""
    command: click.Command = cli
    context = click.Context(cli)
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            break
        names = words[0].split("|")
        known = command.list_commands(context)
        yield from (name for name in names if name not in known)
        if names[0] not in known:
            return
        found = command.get_command(context, names[0])
        assert found is not None
        command, words = found, words[1:]
    options = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
    given = (part for word in words for part in word.split("|"))
    yield from (part for part in given if re.match(r"--?[a-z]", part) and part.split("=")[0] not in options)


@EVERY
def test_each_command_and_option_exists(document: Path) -> None:
    if document.name == "CHANGELOG.md":
        pytest.skip("it tells of the past, too")
    wrong = {}
    for match in COMMAND.finditer(code_of(document.read_text())):
        words = words_of(match["words"])
        if match["run"] and words and words[0].startswith("-") and words != ["--help"]:
            words = ["start", *words]  # as the script does
        unknown = list(what_is_wrong(words))
        if unknown:
            wrong[match[0]] = unknown
    assert wrong == {}


def is_key(name: str) -> bool:
    """Whether this is a key, a section, several keys (`tooling.max_*`) or an entry below a key that holds a map."""
    if name.endswith("*"):
        return any(key.startswith(name[:-1]) for key in KEYS)
    parts = tuple(name.split("."))
    sections = {".".join(key.split(".")[:depth]) for key in KEYS for depth in range(1, 6)}
    return name in sections or field_kind(parts) is not None


@EVERY
def test_each_key_exists(document: Path) -> None:
    sections = "|".join(GatewayConfig.__struct_fields__)
    unknown = []
    for line in document.read_text().splitlines():
        if REPLACED.search(line):
            continue
        for name in re.findall(rf"`((?:{sections})(?:\.[A-Za-z0-9_*]+)+)(?:: [^`]*)?`", line):
            if name.rpartition(".")[2] not in NOT_KEYS and not is_key(name):
                unknown.append(name)
    assert unknown == []


def defaults_said(text: str) -> list[tuple[str, str]]:
    """Keys with the number that a document gives for each: `key` (16 MiB), or in the next column of a table."""
    number = r"(\d[\d ,.]*(?: ?(?:KiB|MiB|kB|MB))?)"
    key = r"`([a-z_]+(?:\.[a-z_]+)*)`"
    return re.findall(rf"{key} \({number}", text) + re.findall(rf"\| {key} \| {number}", text)


def values_of(said: str) -> set[float]:
    """What a number may mean; MB is said of both kinds."""
    size = {"KiB": {2**10}, "MiB": {2**20}, "kB": {10**3, 2**10}, "MB": {10**6, 2**20}}
    digits = re.sub(r"[ ,]|[A-Za-z]+$", "", said).rstrip(".")
    return {float(digits) * unit for unit in size.get(said[-3:].strip(), size.get(said[-2:], {1}))}


@EVERY
def test_each_default_is_the_default(document: Path) -> None:
    wrong = []
    for name, said in defaults_said(document.read_text()):
        if name in KEYS:
            default = attrgetter(name)(GatewayConfig())
            if isinstance(default, int | float) and default not in values_of(said):
                wrong.append((name, said, default))
    assert wrong == []


@cache
def sources() -> dict[str, str]:
    """The project's own files, with what stands in those that are text."""
    found = {}
    for top in (
        "openclaw_actors",
        "tests",
        "scripts",
        "conf",
        "deploy",
        "benchmarks",
        "chaos",
        "pyproject.toml",
    ):
        for path in (ROOT / top).rglob("*") if (ROOT / top).is_dir() else [ROOT / top]:
            if path.is_file() and "__pycache__" not in path.parts and "vendor" not in path.parts:
                found[str(path.relative_to(ROOT))] = path.read_bytes().decode(errors="replace")
    return found


@EVERY
def test_each_file_of_ours_exists(document: Path) -> None:
    text = document.read_text()
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|js|css|c|sh|yaml|service))`", text)
    missing = [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in sources())]
    assert sorted(set(missing) - FILES_OF_EXAMPLES) == []


@EVERY
def test_each_variable_is_read(document: Path) -> None:
    text = document.read_text()
    everything = "\n".join(sources().values())
    named = set(re.findall(r"\bOPENCLAW_[A-Z][A-Z_]*[A-Z]\b", text))
    assert sorted(name for name in named if name not in everything) == []
    of_keys = set(re.findall(r"\bOPENCLAW__[A-Z_]*[A-Z]\b", text)) - {
        "OPENCLAW__SECTION__KEY",
        "OPENCLAW__LLM__KEY",
    }
    unknown = [name for name in of_keys if field_kind(tuple(name.lower().split("__")[1:])) is None]
    assert unknown == []


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("status --watch", []),
        ("sessions list --json", []),
        ("reload [--dry-run]", []),
        ("outbox retry|purge ENTRY|--all  # replies", []),
        ("statsu", ["statsu"]),
        ("sessions lits", ["lits"]),
        ("status --wach", ["--wach"]),
    ],
)
def test_a_command_that_is_wrong_is_found(said: str, wrong: list[str]) -> None:
    assert list(what_is_wrong(words_of(said))) == wrong


def test_a_key_that_is_wrong_is_found() -> None:
    assert is_key("sessions.max_live")
    assert is_key("tooling.max_*")
    assert is_key("llm")
    assert not is_key("sessions.max_alive")
    assert not is_key("tooling.most_*")


def test_a_default_is_understood() -> None:
    said = "`memory.max_cached_bytes` (64 MB), `llm.retry_count` (3)\n| `websocket.max_text_chars` | 1,000,000 | cut |"
    assert [name for name, _ in defaults_said(said)] == [
        "memory.max_cached_bytes",
        "llm.retry_count",
        "websocket.max_text_chars",
    ]
    assert [max(values_of(number)) for _, number in defaults_said(said)] == [64 * 2**20, 3, 1_000_000]
