"""The audit: what each finding is about, how bad it is, and that none shows a secret."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from openclaw_actors.actors.rundir import RunRecord
from openclaw_actors.cli.doctor import abilities, certificate, exposure, leaks
from openclaw_actors.cli.main import cli
from tests.authority import Authority
from tests.unit.cli.doctor.world import Look, World, told

TOKEN = "kJ8_2mPqX-7vLz0RtYw3NbHcDf5"
PUBLIC = {"bind_address": "0.0.0.0", "auth_token": "env:TOKEN"}
RECORD = RunRecord(boot="b", pid=1, started_ticks=0, run_dir="/x", state="ready", certificate="/c.pem")


def case(level: str, text: str, **config: Any) -> Any:
    return pytest.param(config, level, text, id=text)


@pytest.mark.parametrize(
    ("config", "level", "text"),
    [
        case("ok", "no tool runs programs"),
        case("warning", "shell runs any program, and nobody is asked", tooling={"allow_shell": True}),
        case(
            "ok",
            "shell runs any program, after a person has agreed (tooling.approval: dangerous)",
            tooling={"allow_shell": True, "approval": "dangerous"},
        ),
        case(
            "ok",
            "shell runs any program, after a person has agreed (tooling.approval_required_tools)",
            tooling={"allow_shell": True, "require_tool_approval": True},
        ),
        case(
            "error",
            "code_exec runs any code, and nobody is asked",
            **PUBLIC,
            plugins={"native": {"code_exec": {"enabled": True}}},
            security={"allow_unsafe_tooling_on_public_bind": True},
        ),
        case(
            "warning",
            "the MCP server files runs as this user, and nobody is asked",
            mcp={"servers": {"files": {"command": "npx"}}},
        ),
        case("error", "tools read every file", tooling={"allowed_read_roots": ["*"]}),
        case("error", "tools write every file", tooling={"allowed_write_roots": ["/"]}),
        case(
            "warning",
            "programs of tools are given SSH_AUTH_SOCK",
            tooling={"pass_environment": ["SSH_AUTH_SOCK"]},
        ),
        case(
            "warning",
            "the tool web_fetch reaches 10.0.0.7 in your own network",
            plugins={"native": {"web_fetch": {"enabled": True, "allowed_private_hosts": ["10.0.0.7"]}}},
        ),
    ],
)
def test_what_a_model_could_be_talked_into(
    world: World, config: dict[str, Any], level: str, text: str
) -> None:
    world.environ["TOKEN"] = TOKEN
    world.configure(config)
    found = world.see(abilities.look)
    assert text in told(found, level), [(each.level, each.what) for each in found]
    assert all(each.remedy for each in found if each.level in ("warning", "error"))


def test_roots_that_hold_what_no_tool_may_see(world: World) -> None:
    key = world.root / "keys" / "token"
    key.parent.mkdir()
    key.write_text(TOKEN)
    world.configure({"auth_token": f"file:{key}", "tooling": {"allowed_read_roots": [str(world.root)]}})
    text = told(world.see(abilities.look), "error")
    for what in ("the store", "the log", "the run directory", "the configuration", "auth_token"):
        assert f"tools read below {world.root}, where {what} is" in text
    (world.root / "link").symlink_to(key.parent)
    world.configure(
        {"auth_token": f"file:{key}", "tooling": {"allowed_write_roots": [str(world.root / "link")]}}
    )
    assert "where auth_token is" in told(world.see(abilities.look), "error")


@pytest.mark.parametrize(
    ("token", "strong"),
    [
        (TOKEN, True),
        ("odNzo1_rLDIYkLVNmt4Uklti5whWifJq", True),
        ("0dec49a5c4be28934adab1389c41a4037dea76304a02d76d", True),
        ("abcdefghijklmnopqrstuvwxyz0123456789", False),
        ("abcabcdefdefghighiabcabcdefdefghighi", False),
        ("changeme-changeme-changeme-changeme", False),
        ("0123456789" * 4, False),
        ("aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggggggghhhhhhhh", False),
    ],
)
def test_a_token_is_judged_by_its_chance_and_not_by_its_length_alone(
    world: World, token: str, strong: bool
) -> None:
    world.environ["TOKEN"] = token
    world.configure({"auth_token": "env:TOKEN"})
    found = world.see(exposure.look)
    assert ("is long enough" in told(found, "ok")) is strong, told(found, "warning")
    assert token not in " ".join(each.what + each.why + each.remedy for each in found)


@pytest.mark.parametrize(
    ("network", "level"),
    [
        ("::/0", "error"),
        ("8.0.0.0/8", "warning"),
        ("10.0.0.0/8", ""),
        ("203.0.114.7", ""),
        ("192.0.3.0/24", ""),
    ],
)
def test_proxies_that_are_too_many(world: World, network: str, level: str) -> None:
    world.configure({"security": {"trust_forwarded_headers": True, "known_proxies": [network]}})
    found = {each.level for each in world.see(exposure.look) if network in each.what}
    assert found == ({level} if level else set())


def test_a_configuration_that_others_can_change(world: World) -> None:
    world.file.chmod(0o644)
    assert "others can change the configuration" not in told(world.see(exposure.look), "error")
    world.file.chmod(0o664)
    assert f"{world.file} has the mode 0664: others can change" in told(world.see(exposure.look), "warning")
    world.file.chmod(0o644)
    world.root.chmod(0o777)
    assert f"{world.root} has the mode 0777: others can change" in told(world.see(exposure.look), "error")


def test_what_the_remedy_prints_is_strong() -> None:
    for _ in range(200):
        for token in (secrets.token_urlsafe(32), secrets.token_hex(24)):
            assert exposure._weakness(token) == ""


# Leaks


def logged(world: World, text: str) -> Path:
    world.make("logs")
    log = world.state / "logs" / "gateway.log.1"
    log.write_text(text)
    return log


def test_a_secret_in_the_log_is_found_whatever_its_form(world: World) -> None:
    value = 'quo"ted/and long enough'
    world.environ["TOKEN"] = value
    world.configure({"auth_token": "env:TOKEN"})
    log = logged(world, "x" * (1 << 20) + "all is well\n")
    assert "no secret stands in 2 files" in told(world.see(leaks.look), "ok")
    for form in (value, json.dumps({"said": value})):
        log.write_text("x" * ((1 << 20) - 5) + form + "\n")  # across the pieces that are read
        found = world.see(leaks.look)
        assert f"the value of auth_token stands in {log}" in told(found, "error")
        assert value not in " ".join(each.what + each.remedy for each in found)


def test_a_secret_that_was_left_in_the_configuration(world: World) -> None:
    world.environ["TOKEN"] = TOKEN
    world.configure({"auth_token": "env:TOKEN"})
    with world.file.open("a") as file:
        file.write(f"# it was {TOKEN} before\n")
    assert f"the value of auth_token stands in {world.file}" in told(world.see(leaks.look), "error")


def test_a_secret_of_the_configuration_itself_is_told_elsewhere(world: World) -> None:
    world.configure({"auth_token": f"raw:{TOKEN}"})
    assert told(world.see(leaks.look), "error") == ""
    logged(world, TOKEN)
    assert "the value of a raw: secret stands in" in told(world.see(leaks.look), "error")


def test_what_this_shell_does_not_know_is_said(world: World) -> None:
    world.configure({"auth_token": "env:TOKEN_OF_THE_SERVICE"})
    assert "1 secret could not be looked for" in told(world.see(leaks.look), "info")


# The certificate


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (90, "ok", "is valid for 89 days more"),
        (10, "warning", "is valid for 9 days more"),
        (2, "error", "is valid for 1 day more"),
        (-2, "error", "expired on "),
    ],
)
def test_a_certificate_near_its_end(world: World, days: int, level: str, text: str) -> None:
    authority = Authority(world.root / "tls")
    authority.issue(expires=dt.datetime.now(dt.UTC) + dt.timedelta(days=days))
    world.configure({"tls": authority.config})
    assert text in told(world.see(certificate.look), level)


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, "ok"), (0o640, "ok"), (0o644, "error"), (0o660, "error")]
)
def test_who_can_reach_the_key(world: World, mode: int, level: str) -> None:
    authority = Authority(world.root / "tls")
    authority.issue()
    authority.key.chmod(mode)
    world.configure({"tls": authority.config})
    assert f"has the mode {mode:04o}" in told(world.see(certificate.look), level)


def test_a_pair_that_the_running_gateway_did_not_take(world: World) -> None:
    authority = Authority(world.root / "tls")
    authority.issue()
    authority.replace(authority.key, authority.certificate.read_bytes())
    world.configure({"tls": authority.config})
    looks: Look = certificate.look
    assert "tls.key must be" in told(world.see(looks, record=RECORD), "error")
    assert "tls.key must be" not in told(world.see(looks), "error")


# The command


def audit(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    for path in (world.root, world.file):
        path.chmod(0o700)
    arguments = ["doctor", "--security", "--json", "-c", str(world.file), "--state-dir", str(world.state)]
    result = CliRunner().invoke(cli, arguments)
    report: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, report


def test_the_audit_alone_ends_with_1_where_something_is_serious(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.environ["TOKEN"] = TOKEN
    world.configure({"auth_token": "env:TOKEN"})
    code, report = audit(world, monkeypatch)
    assert (code, report["ok"]) == (0, True)
    checks = {each["check"] for each in report["findings"]}
    assert checks <= {
        "configuration",
        "exposure",
        "certificate",
        "tools",
        "leaks",
        "state directory",
        "twilio",
    }
    logged(world, TOKEN)
    code, report = audit(world, monkeypatch)
    assert (code, report["ok"]) == (1, False)
    (serious,) = (each for each in report["findings"] if each["level"] == "error")
    assert serious["check"] == "leaks"
    assert serious["remedy"]


def test_the_configuration_that_ships_for_servers_passes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.environ |= {
        "OPENCLAW_AUTH_TOKEN": secrets.token_urlsafe(32),
        "OPENCLAW_API_KEY": "sk-0123456789abcdef",
    }
    world.file.write_text((Path(__file__).parents[4] / "conf" / "gateway.production.yaml").read_text())
    monkeypatch.setattr(exposure.os, "geteuid", lambda: world.root.stat().st_uid or 1)  # root is told of
    code, report = audit(world, monkeypatch)
    assert code == 0
    assert [each["what"] for each in report["findings"] if each["level"] in ("warning", "error")] == []
