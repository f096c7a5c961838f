"""The section of MCP servers: what a server needs, what does not go together, and that no value of it is shown."""

from __future__ import annotations

import pytest

from openclaw_actors.config import collect_secrets, mask
from tests.unit.config.world import Load, problems_of

COMMAND = "mcp: {servers: {files: {command: npx"


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (
            "files: {}",
            "mcp.servers.files must be with exactly one of mcp.servers.files.command and mcp.servers.files.url",
        ),
        ("files: {command: a, url: 'http://h/mcp'}", "exactly one of"),
        ("files: {command: ''}", "mcp.servers.files.command must be a text that is not empty"),
        ("files: {url: 'ftp://h/'}", "mcp.servers.files.url must be an http:// or https:// URL"),
        ("files: {url: 'http://h/', args: [x]}", "mcp.servers.files.args must be left out where"),
        ("files: {command: a, token: 'raw:x'}", "mcp.servers.files.token must be left out where"),
        ("files: {url: 'http://h/', token: bare}", "mcp.servers.files.token must be a reference of the form"),
        ("files: {url: 'http://h/', headers: {Host: 'raw:x'}}", "mcp.servers.files.headers.Host must be"),
        ("files: {url: 'http://h/', headers: {'a b': 'raw:x'}}", "the name of an HTTP header"),
        (
            "files: {url: 'http://h/', token: 'raw:x', headers: {authorization: 'raw:y'}}",
            "headers.authorization must be left out where mcp.servers.files.token is given",
        ),
        ("a__b: {command: a}", "with a letter or digit at both ends and no double underscore"),
        ("a_: {command: a}", "no double underscore"),
        ("a.b: {command: a}", "no double underscore"),
        (f"{'a' * 33}: {{command: a}}", "1 to 32 of the characters"),
        ("files: {command: a, env: {'A-B': x}}", "the name of an environment variable"),
        ("files: {command: a, env: {A: 'env:'}}", "it begins like a reference"),
        ("files: {command: a, env: {A: 'env:NOT_SET'}}", "the environment variable NOT_SET is not set"),
        ("files: {command: a, backoff_seconds: 61}", "at most mcp.servers.files.backoff_max_seconds, 60"),
        ("files: {command: a, max_concurrent_calls: 0}", "a whole number from 1 to 1000"),
        ("files: {comand: a}", "mcp.servers.files.comand is not a key"),
    ],
)
def test_what_a_server_cannot_be_is_refused(load: Load, server: str, said: str) -> None:
    problems = problems_of(load, f"mcp: {{servers: {{{server}}}}}")
    assert any(said in line for line in problems), problems


def test_there_are_not_too_many_servers(load: Load) -> None:
    servers = ", ".join(f"s{number}: {{command: a}}" for number in range(33))
    assert "at most 32 servers (got 33)" in problems_of(load, f"mcp: {{servers: {{{servers}}}}}")[0]


def test_a_setting_is_a_value_or_a_reference_and_neither_is_shown(load: Load) -> None:
    config = load(f"{COMMAND}, env: {{A: plain, B: 'env:TOKEN', C: 'raw:c'}}}}}}}}", TOKEN="t0ken").config
    at = "mcp.servers.files.env."
    assert collect_secrets(config, {"TOKEN": "t0ken"}) == {f"{at}B": "t0ken", f"{at}C": "c"}
    assert mask(config)["mcp"]["servers"]["files"]["env"] == {"A": "***", "B": "env:TOKEN", "C": "raw:***"}
    # A value that is refused is not shown either.
    said = problems_of(load, f"{COMMAND}, env: {{A: 'raw:', B: 5}}}}}}}}")
    assert all("***" in line or "got 5" not in line for line in said), said


def test_programs_need_a_yes_on_a_public_bind(load: Load) -> None:
    public = "bind_address: 0.0.0.0\nauth_token: env:T\n"
    said = problems_of(load, f"{public}{COMMAND}}}}}}}", T="t")
    assert "mcp.servers.files.enabled must be false on a public bind" in said[0]
    load(f"{public}security: {{allow_plugin_bridge_on_public_bind: true}}\n{COMMAND}}}}}}}", T="t")
    load(f"{public}{COMMAND}, enabled: false}}}}}}", T="t")
    load(f"{public}mcp: {{servers: {{far: {{url: 'https://h/mcp'}}}}}}", T="t")
