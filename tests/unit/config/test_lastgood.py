"""What is kept of a configuration that was good, and when it stands in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.config import examine
from openclaw_actors.config.lastgood import (
    LAST_GOOD,
    LastGoodUnusable,
    last_good_of,
    load_last_good,
    save_last_good,
)
from tests.unit.config.world import Load

GOOD = """
port: 81
auth_token: env:TOKEN
auth: {tokens: {alice: "file:TOKEN_FILE"}}
security: {allowed_origins: ["https://a.example"]}
skills: {entries: {s: {config: {depth: 3}}}}
"""


def keep(load: Load, text: str, state: Path, **environ: str) -> None:
    save_last_good(state, last_good_of(load(text, **environ)))


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("hunter2-alice")
    return str(path)


def test_it_stands_in_with_the_environment_and_the_command_line_of_the_start(
    load: Load, tmp_path: Path, token_file: str
) -> None:
    text = GOOD.replace("TOKEN_FILE", token_file)
    keep(load, text, tmp_path, TOKEN="hunter2-own")
    environ = {"HOME": "/home/me", "TOKEN": "t", "OPENCLAW__SESSIONS__MAX_LIVE": "5"}
    loaded, good = load_last_good(tmp_path, Path("gone.yaml"), environ, {"http.port": 82})
    assert loaded.config.port == 81
    assert loaded.config.auth_token == "env:TOKEN"
    assert loaded.config.security.allowed_origins == ("https://a.example",)
    assert loaded.config.sessions.max_live == 5
    assert loaded.config.http.port == 82
    assert loaded.config.state_dir == str(tmp_path)
    assert good.saved_at > 0
    assert good.file.endswith("g.yaml")


def test_it_is_for_its_owner_and_holds_no_value_of_a_secret(
    load: Load, tmp_path: Path, token_file: str
) -> None:
    text = (
        GOOD.replace("TOKEN_FILE", token_file)
        + """
llm: {api_key: "raw:hunter2-key", endpoint: "https://llm.example/v1?api_key=hunter2-url", provider: openai}
mcp: {servers: {m: {command: m, env: {PLAIN: hunter2-env, REF: "env:TOKEN"}}}}
"""
    )
    text = text.replace(
        "{config: {depth: 3}}", "{env: {KEY: hunter2-skill}, config: {api_token: hunter2-plugin}}"
    )
    keep(load, text, tmp_path, TOKEN="hunter2-own")
    path = tmp_path / LAST_GOOD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hunter2" not in path.read_text()
    assert sorted(msgspec.json.decode(path.read_bytes())["withheld"]) == [
        "llm.api_key",
        "llm.endpoint",
        "mcp.servers.m.env.PLAIN",
        "skills.entries.s.config",
        "skills.entries.s.env.KEY",
    ]


def test_without_a_secret_that_only_the_file_held_it_does_not_stand_in(load: Load, tmp_path: Path) -> None:
    keep(load, "auth_token: raw:hunter2\n", tmp_path)
    with pytest.raises(LastGoodUnusable, match=r"auth_token.*env: or file:"):
        load_last_good(tmp_path, None, {"HOME": "/"}, {})
    loaded, _ = load_last_good(tmp_path, None, {"HOME": "/", "OPENCLAW_AUTH_TOKEN": "t"}, {})
    assert loaded.config.auth_token == "env:OPENCLAW_AUTH_TOKEN"


def test_a_list_that_lacks_an_entry_is_not_kept_at_all(load: Load, tmp_path: Path) -> None:
    fallbacks = '[{model: a, provider: openai, api_key: "raw:hunter2"}, {model: b, api_key: "env:B"}]'
    text = f"llm: {{provider: openai, api_key: 'env:A', fallbacks: {fallbacks}}}\n"
    keep(load, text, tmp_path, A="a", B="b")
    with pytest.raises(LastGoodUnusable, match=r"llm\.fallbacks"):
        load_last_good(tmp_path, None, {"HOME": "/", "A": "a", "B": "b"}, {})


def test_a_reference_that_leads_nowhere_any_more_is_said(load: Load, tmp_path: Path) -> None:
    keep(load, "auth_token: env:TOKEN\n", tmp_path, TOKEN="t")
    with pytest.raises(LastGoodUnusable, match="TOKEN is not set"):
        load_last_good(tmp_path, None, {"HOME": "/"}, {})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[1]", "damaged"),
        (b'{"format": 99}', "another version"),
        (b'{"tree": {"port": "x"}}', "port must be"),
        (b'{"tree": {"pord": 1}}', "pord is not a key"),
        (b'{"tree": {"sessions": 3}}', "sessions must be"),
    ],
)
def test_what_somebody_has_broken_does_not_stand_in(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / LAST_GOOD).write_bytes(data)
    with pytest.raises(LastGoodUnusable, match=said):
        load_last_good(tmp_path, None, {"HOME": "/"}, {})


def test_a_link_is_not_followed_and_none_is_no_problem_to_tell_of(tmp_path: Path) -> None:
    with pytest.raises(LastGoodUnusable) as refused:
        load_last_good(tmp_path, None, {"HOME": "/"}, {})
    assert str(refused.value) == ""
    (tmp_path / "elsewhere").write_text('{"format": 1}')
    (tmp_path / LAST_GOOD).symlink_to("elsewhere")
    with pytest.raises(LastGoodUnusable, match=LAST_GOOD):
        load_last_good(tmp_path, None, {"HOME": "/"}, {})


def test_a_disk_that_does_not_take_it_leaves_the_one_before(load: Load, tmp_path: Path) -> None:
    keep(load, "port: 81\n", tmp_path)
    in_the_way = tmp_path / f".{LAST_GOOD}.{os.getpid()}"
    in_the_way.mkdir()  # as if there were no room
    with pytest.raises(IsADirectoryError):
        keep(load, "port: 82\n", tmp_path)
    in_the_way.rmdir()
    loaded, _ = load_last_good(tmp_path, None, {"HOME": "/"}, {})
    assert loaded.config.port == 81


@pytest.mark.parametrize("line", ["state_dir: {}", "'state_dir': \"{}\"", "state_dir: {}   # here"])
def test_whose_state_a_file_that_is_no_yaml_means_is_known(tmp_path: Path, line: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(f"port: 1\n{line.format(tmp_path / 'state')}\n: : [\n")
    loaded, problems = examine(path, {"HOME": "/home/me"}, {})
    assert [each.kind for each in problems] == ["syntax"]
    assert loaded.config.state_dir == str(tmp_path / "state")
    assert loaded.config.port == 18789
