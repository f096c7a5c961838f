"""Every problem is a finding; a secret that only the service has is none of the running gateway."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw_actors.actors.rundir import RunRecord
from openclaw_actors.cli.doctor import configuration, exposure
from tests.unit.cli.doctor.world import World, levels, told

RECORD = RunRecord(boot="b", pid=os.getpid(), started_ticks=0, run_dir="/x", state="ready")


def test_every_problem_and_warning_is_told_with_a_remedy(world: World) -> None:
    world.configure({"prot": 1, "port": "x", "max_concurrent_sessions": 5, "plugins": {"prefer": "bridge"}})
    found = world.see(configuration.look)
    errors = [each for each in found if each.level == "error"]
    assert len(errors) == 3
    assert all(each.remedy for each in errors)
    assert "prot is not a key" in told(found, "error")
    assert "plugins.prefer has no effect yet" in told(found, "warning")


def test_a_file_that_is_not_there_or_no_yaml_is_told_and_nothing_is_repaired(world: World) -> None:
    world.file.write_text("a: [")
    context = world.context()
    assert "is not YAML" in told(world.see(configuration.look, context), "error")
    assert not context.places_known
    world.file.unlink()
    assert "cannot be read" in told(world.see(configuration.look), "error")


def test_a_secret_that_this_shell_does_not_have(world: World) -> None:
    world.configure({"auth_token": "env:TOKEN_OF_THE_SERVICE", "llm": {"provider": "openai"}})
    assert levels(world.see(configuration.look)) == {"error"}
    beside = world.see(configuration.look, record=RECORD)
    assert levels(beside) == {"warning", "ok"} - ({"ok"} if world.context().problems else set())
    assert "running gateway" in beside[0].why


@pytest.mark.parametrize(
    ("config", "level", "text"),
    [
        ({"auth_token": "raw:short"}, "warning", "auth_token can be guessed"),
        ({"auth_token": "raw:" + "ab" * 20}, "warning", "auth_token can be guessed"),
        ({"auth_token": "raw:kJ8_2mPqX-7vLz0RtYw3NbHcDf5"}, "ok", "auth_token is long enough"),
        ({"auth": {"tokens": {"bob": "raw:secret"}}}, "warning", "auth.tokens.bob can be guessed"),
        ({}, "info", "no token is asked for"),
        ({"bind_address": "0.0.0.0", "auth_token": "env:WEAK"}, "error", "auth_token can be guessed"),
        ({"bind_address": "0.0.0.0", "auth_token": "env:WEAK"}, "warning", "is not encrypted"),
        ({"security": {"allow_query_string_token": True}}, "warning", "allow_query_string_token is true"),
        (
            {"bind_address": "0.0.0.0", "security": {"trust_forwarded_headers": True}},
            "warning",
            "known_proxies is empty",
        ),
        ({"security": {"known_proxies": ["10.0.0.1"]}}, "info", "known_proxies is set, but not used"),
        ({"security": {"known_proxies": ["0.0.0.0/0"]}}, "error", "0.0.0.0/0: everybody"),
        (
            {"bind_address": "0.0.0.0", "security": {"allow_unsafe_tooling_on_public_bind": True}},
            "warning",
            "security.allow_unsafe_tooling_on_public_bind is true",
        ),
        ({"auth_token": "raw:short"}, "warning", "auth_token stands in"),
        ({"auth_token": "raw:short"}, "error", "which has the mode 0644"),
        (
            {"llm": {"endpoint": "http://gpu.example:8000/v1", "api_key": "env:WEAK"}},
            "warning",
            "unencrypted",
        ),
    ],
)
def test_exposure(world: World, config: dict[str, object], level: str, text: str) -> None:
    world.environ["WEAK"] = "password"
    world.configure(config)
    world.file.chmod(0o644)
    found = world.see(exposure.look)
    assert text in told(found, level), [(each.level, each.what) for each in found]
    everything = " ".join(each.what + each.why + each.remedy for each in found)
    assert "raw:short" not in everything
    assert "password" not in everything


def test_the_file_of_a_secret_must_be_private(world: World) -> None:
    path = Path(world.root) / "token"
    path.write_text("kJ8_2mPqX-7vLz0RtYw3NbHcDf5")
    path.chmod(0o640)
    world.configure({"auth_token": f"file:{path}"})
    assert f"auth_token stands in {path}, which has the mode 0640" in told(world.see(exposure.look), "error")
    path.chmod(0o600)
    assert told(world.see(exposure.look), "error") == ""
