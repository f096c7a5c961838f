"""What a file may be at all: hostile, broken and foreign bytes get a line that says what and where."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_actors import config
from openclaw_actors.config.document import MAX_BYTES, MAX_NODES, parse_document
from openclaw_actors.config.layers import MAX_PROBLEMS, key_names
from openclaw_actors.errors import ConfigError
from tests.unit.config.world import Load, problems_of

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~", "\ufeff", "{}", "http:\nauth:\n"])
def test_a_file_that_says_nothing_is_a_configuration(load: Load, text: str) -> None:
    assert load(text).config.port == 18789


@pytest.mark.parametrize(
    ("data", "place", "said"),
    [
        ("port: 1\nhttp: {port: 2\n", "3", "this is not YAML"),
        ("http:\n\tport: 1", "2", "this is not YAML"),
        ("a: b: c", "1", "this is not YAML"),
        ("port: *nowhere", "1", "this is not YAML"),
        ("- port", "1", "a mapping of keys to values is expected"),
        ("hello", "1", "a mapping of keys to values is expected"),
        ("port: 1\n---\nport: 2", "2", "more than one document"),
        ("port: 1".encode("utf-16"), "1", "the file is not UTF-8"),
        (b"port: 1\nworkspace: /t\xe9", "2", "the file is not UTF-8"),
        ("port: 1".encode("utf-16-le"), "1", "a character that is not allowed"),
        ("a: &a [*a]", "1", "an alias contains itself"),
        ("a: &a\n  <<: *a", "1", "an alias contains itself"),
        ("a: " + "[" * 40 + "]" * 40, "1", "nested deeper than 32 levels"),
        ("[" * 100_000, "1", "this is"),
        ("{a: " * 5_000, "1", "this is"),
        (LAUGHS, "5", f"more than {MAX_NODES} values"),
        ("a: [" + "1," * (2 * MAX_NODES) + "]", "1", f"more than {MAX_NODES} values"),
        ("~: 1", "1", "a key is not a text"),
        ("[1]: 1", "1", "a key is not a text"),
        ("<<: 5", "1", "`<<` merges only mappings"),
        ("port: 2026-02-30", "1", "this is no timestamp"),
        ('port: !!int ""', "1", "this is no int"),
        ("port: !!bool x", "1", "this is no bool"),
        ("port: !!timestamp x", "1", "this is no timestamp"),
        (f"port: {'9' * 5000}", "1", "this is no int"),
        (
            "port: !!python/object/apply:os.getpid []",
            "1",
            'not plain YAML: the tag "!!python/object/apply:os.getpid"',
        ),
        ("port: !env X", "1", 'not plain YAML: the tag "!env"'),
        ("port: !!binary aGk=", "1", 'not plain YAML: the tag "!!binary"'),
    ],
)
def test_what_is_no_configuration_is_said_with_its_line(
    load: Load, data: str | bytes, place: str, said: str
) -> None:
    (problem,) = problems_of(load, data)
    assert problem.startswith(f"g.yaml:{place}: ")
    assert said in problem


def test_a_huge_file_is_refused_before_it_is_read_whole(load: Load) -> None:
    (problem,) = problems_of(load, b"#" * (MAX_BYTES + 1))
    assert problem == f"g.yaml: the file is larger than {MAX_BYTES} bytes"
    assert load(b"#" * MAX_BYTES).config.port == 18789


def test_a_key_may_stand_once(load: Load) -> None:
    problems = problems_of(load, "http:\n  port: 1\n  port: 2\nport: 3\nport: 3\n")
    assert problems == [
        "http.port stands there more than once [g.yaml:3]",
        "port stands there more than once [g.yaml:5]",
    ]


def test_anchors_aliases_and_merges_work_within_the_limits(load: Load) -> None:
    text = "auth: {tokens: &t {a: raw:one}}\nplugins: {entries: {p: {config: {<<: *t, b: *t, a: 2}}}}\n"
    assert load(text).config.plugins.entries["p"].config == {"a": 2, "b": {"a": "raw:one"}}


def test_a_message_never_quotes_the_file(load: Load) -> None:
    for text in ("auth_token: raw:hunter2: x", 'auth_token: "raw:hunter2', "auth_token: raw:hunter2\n\t- x"):
        assert "hunter2" not in "".join(problems_of(load, text))


def test_a_key_cannot_steer_a_terminal_or_break_a_line(load: Load) -> None:
    (problem,) = problems_of(load, '"a\\e[31m\\nb": 1')
    assert problem.startswith("a\\x1b[31m\\x0ab is not a key")


def test_a_file_of_nonsense_is_answered_soon_and_in_bounds(load: Load) -> None:
    problems = problems_of(load, "".join(f"key_{number}: 1\n" for number in range(20_000)))
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == f"and {20_000 - MAX_PROBLEMS} more problems"
    (problem,) = problems_of(load, f"? {'k' * 100_000}\n: 1")
    assert len(problem) < 300


# Fuzz: any bytes give a configuration or a ConfigError

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.binary(max_size=4),
    st.sampled_from([10**400, "raw:x", "env:NO", "file:/", "*", "~", "~x/y", "0.0.0.0", "https://[", "1:30"]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def check(path: Path, data: bytes, environ: dict[str, str]) -> None:
    path.write_bytes(data)
    try:
        loaded = config.load(path, {"HOME": "/home/me", **environ}, {})
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
    else:
        assert config.decode(config.encode(loaded.config)) == loaded.config
        config.mask(loaded.config)
        return
    assert problems
    assert all(problem and "\n" not in problem for problem in problems)


FUZZ = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="ab:{}[]-!&*<?>|'\"#%@\n\t 0_.eE+~", max_size=60).map(str.encode),
    )
)
def test_any_bytes_give_a_configuration_or_its_problems(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "g.yaml", data, {})


@FUZZ
@given(key=st.sampled_from(key_names()), value=TREES)
def test_any_value_of_any_key_gives_a_configuration_or_its_problems(
    tmp_path: Path, key: str, value: object
) -> None:
    tree: object = value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    check(tmp_path / "g.yaml", yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"), {})


@FUZZ
@given(
    key=st.sampled_from(key_names()),
    below=st.sampled_from(["", "__x", "__X__ENABLED", "__"]),
    text=st.text(alphabet=st.characters(exclude_characters="\0"), max_size=30)
    | TREES.map(lambda tree: yaml.safe_dump(tree).replace("\0", "")),
)
def test_any_variable_gives_a_configuration_or_its_problems(
    tmp_path: Path, key: str, below: str, text: str
) -> None:
    check(tmp_path / "g.yaml", b"", {"OPENCLAW__" + key.upper().replace(".", "__") + below: text})


@FUZZ
@given(data=st.binary(max_size=300))
def test_parsing_alone_raises_nothing(data: bytes) -> None:
    parse_document(data, where="g.yaml")
