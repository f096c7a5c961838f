"""References to secrets: what they stand for, which are refused, and that nothing shows what they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from openclaw_actors.config import collect_secrets, mask, resolve_all, secret_variables
from openclaw_actors.config.secrets import (
    SecretUnresolved,
    resolve,
    travelling,
    values_for_vault,
    without_values,
)
from openclaw_actors.config.vault import fill_vault, vault_path
from openclaw_actors.errors import ConfigError
from tests.unit.config.world import Load, problems_of


def test_the_three_forms(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes("hünter2 \r\n".encode())
    assert resolve("env:NAME", {"NAME": " x "}) == "x"
    assert resolve(f"file:{tmp_path}/token", {}) == "hünter2"
    assert resolve("file:~/token", {"HOME": str(tmp_path)}) == "hünter2"
    assert resolve("raw:env:x", {}) == "env:x"
    assert resolve("RAW:x", {}) == resolve("Env:X", {"X": "x"}) == "x"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hunter2\nhunter3\n", "holds a line break"),
        (b"hunter2\x00", "holds a line break or a control character"),
        (b"hunter2\xff", "is not UTF-8"),
        (b"h" * 65_537, "is larger than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_says_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(SecretUnresolved, match=reason) as refused:
        resolve(f"file:{tmp_path}/token", {})
    assert "hunter" not in str(refused.value)


def test_a_pipe_that_nobody_writes_to_does_not_hold_up_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    with pytest.raises(SecretUnresolved, match="is empty"):
        resolve(f"file:{tmp_path}/token", {})


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\x1bb", "a\udcffb"])
def test_a_variable_that_cannot_be_a_secret_is_refused(value: str) -> None:
    with pytest.raises(SecretUnresolved):
        resolve("env:NAME", {"NAME": value})


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("hunter2", "must be a reference of the form env:NAME, file:PATH or raw:VALUE (got ***)"),
        ("sk-hunter2", "(got ***)"),
        ("'ray:hunter2'", "(got ***)"),
        ("[hunter2]", "(got ***)"),
        ("{raw: hunter2}", "(got ***)"),
        ("12345", "(got ***)"),
        ("'raw:'", "(got ***)"),
        ("'env:'", "must be a reference of the form"),
        ("env:GONE", "the environment variable GONE is not set"),
        ("file:/gone", "the file /gone cannot be read"),
        ("'raw: '", "nothing follows raw:"),
        ("'vault:/proc/1/fd/3:env:X'", "(got ***)"),
    ],
)
@pytest.mark.parametrize("key", ["auth_token", "auth.tokens.a", "llm.api_key", "skills.entries.s.api_key"])
def test_what_is_no_reference_or_leads_nowhere_is_refused(load: Load, key: str, ref: str, said: str) -> None:
    parts = key.split(".")
    (problem,) = problems_of(load, "{" + ": {".join(parts) + f": {ref}" + "}" * len(parts))
    assert problem.startswith(key)
    assert said in problem
    assert problem.endswith("[g.yaml:1]")
    assert "hunter2" not in problem


def test_secrets_are_collected_by_key(load: Load) -> None:
    text = "auth_token: raw:one\nauth: {tokens: {a.b: env:TWO}}\nplugins: {native: {email: {password_ref: raw:three}}}"
    environ = {"TWO": "two"}
    loaded = load(text, **environ)
    assert collect_secrets(loaded.config, environ) == {
        "auth_token": "one",
        "auth.tokens.a.b": "two",
        "plugins.native.email.password_ref": "three",
    }
    with pytest.raises(ConfigError, match="TWO is not set"):
        collect_secrets(loaded.config, {})


def test_a_token_names_one_principal_however_it_is_referred_to(load: Load) -> None:
    (problem,) = problems_of(load, "auth_token: raw:same\nauth: {tokens: {a: env:T}}", T="same")
    assert problem == "auth.tokens.a must be another token than auth_token [g.yaml:2]"


# Masking

HIDING = """
auth_token: raw:hunter2
auth: {tokens: {alice: 'raw:hunter2x', bob: env:BOB}}
llm: {api_key: 'RAW:hunter2y', endpoint: 'https://h/v1?code=hunter2&v=1'}
channels: {sms: {twilio: {auth_token_ref: 'raw:hunter2'}}}
plugins:
  native: {database: {connection_string: 'raw:postgres://u:hunter2@h/d'}}
  entries: {p: {config: {apiKey: hunter2, deep: [{password: hunter2, note: 'raw:hunter2'}], model: m}}}
skills: {entries: {s: {api_key: 'raw:hunter2', env: {ANY: hunter2}}}}
"""


def test_nothing_that_is_shown_holds_a_secret(load: Load) -> None:
    shown = mask(load(HIDING, BOB="hunter2z").config)
    assert "hunter2" not in json.dumps(shown)
    assert shown["auth_token"] == "raw:***"
    assert shown["auth"]["tokens"] == {"alice": "raw:***", "bob": "env:BOB"}
    assert shown["llm"]["endpoint"] == "https://h/v1?code=***&v=***"
    assert shown["plugins"]["entries"]["p"]["config"]["model"] == "m"
    assert shown["skills"]["entries"]["s"]["env"] == {"ANY": "***"}


# The environment


def test_every_variable_that_can_hold_a_secret_is_known(load: Load) -> None:
    environ = {
        "OPENCLAW_AUTH_TOKEN": "a",
        "OPENAI_API_KEY": "b",
        "MODEL_PROVIDER_KEY": "not used, and a key all the same",
        "TWILIO_AUTH_TOKEN": "c",
        "MINE": "d",
        "OPENCLAW__SKILLS__ENTRIES__s__ENV__KEY": "e",
        "OPENCLAW_MODEL": "m",
        "PATH": "/bin",
    }
    config = load("auth: {tokens: {a: ENV:MINE, b: raw:x}}", **environ).config
    assert secret_variables(config, environ) == environ.keys() - {"OPENCLAW_MODEL", "PATH"}


# What travels


def test_references_travel_without_values_and_resolve_without_an_environment(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("in-file")
    text = (
        "auth_token: ENV:ONE\nauth: {tokens: {a.b: 'raw: in-config ', c: 'file:token'}}\n"
        "llm: {api_key: 'file:~/key'}\n"
    )
    environ = {"ONE": " in-environment\n", "HOME": str(tmp_path)}
    (tmp_path / "key").write_text("of-the-provider")
    config = load(text, **environ).config
    kept = values_for_vault(config, environ)
    assert kept == {"env:ONE": "in-environment", "raw:auth.tokens.a.b": "in-config"}
    vault = fill_vault(kept, b"{}")
    try:
        refs = travelling(without_values(config), environ, vault_path(vault))
        assert not [value for value in kept.values() if value in str(refs)]
        assert refs["auth.tokens.c"] == f"file:{tmp_path}/token"
        assert resolve_all(refs, {}) == collect_secrets(config, environ)
    finally:
        os.close(vault)
    with pytest.raises(ConfigError) as gone:
        resolve_all(refs, {})
    lines = str(gone.value).splitlines()
    said = "must be a reference that resolves"
    assert lines[0].startswith(f"auth_token {said} (got env:ONE); the vault of start cannot be read")
    assert lines[1].startswith(f"auth.tokens.a.b {said} (got raw:***); the vault of start cannot be read")
    assert len(lines) == 2


def test_tokens_that_have_become_the_same_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
    refs = {f"auth.tokens.{name}": f"file:{tmp_path}/{name}" for name in ("a", "b")}
    with pytest.raises(ConfigError, match="must be another token than auth"):
        resolve_all(refs, {})


def test_a_configuration_without_values_is_one_still(load: Load) -> None:
    config = load(HIDING, BOB="hunter2z").config
    bare = without_values(config)
    assert bare.auth_token == bare.auth.tokens["alice"] == "raw:***"
    assert bare.auth.tokens["bob"] == "env:BOB"
    shared = (bare.llm.api_key, bare.channels.sms.twilio.auth_token_ref)
    assert shared == ("raw:***", "raw:***")
    assert bare.port == config.port
    assert without_values(load().config) == load().config
