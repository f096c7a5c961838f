"""What the configuration promises of a real gateway: its secrets, its log, and what it refuses to start with."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until

SECRETS = {
    "OPENCLAW_AUTH_TOKEN": "hunter2-own",
    "OPENAI_API_KEY": "hunter2-key",
    "ALICE_TOKEN": "hunter2-alice",
    "OPENCLAW__AUTH__TOKENS__bob": "raw:hunter2-bob",
}


def test_no_process_of_the_gateway_shows_a_secret_and_no_line_of_its_log(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(
        config={"auth": {"tokens": {"alice": "env:ALICE_TOKEN"}}, "logging": {"level": "debug"}},
        environment=SECRETS,
    ).start()
    assert gateway.cli("send", "a private matter").stdout == "echo: a private matter\n"
    processes = gateway.processes()
    assert len(processes) >= 7
    for process in processes:
        directory = Path(f"/proc/{process.pid}")
        assert b"hunter2" not in (directory / "environ").read_bytes() + (directory / "cmdline").read_bytes()
    gateway.stop()
    assert "private" not in gateway.log_text()
    assert "hunter2" not in gateway.printed()


def test_the_log_is_quiet_when_all_is_well(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()
    assert gateway.cli("send", "hello").returncode == 0
    gateway.stop()
    assert gateway.log_text() == ""
    assert gateway.err.text() == ""


def test_the_lines_of_a_turn_share_its_id_from_the_frame_to_the_model(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"logging": {"level": "info", "format": "json"}}).start()
    assert gateway.cli("send", "hello").returncode == 0

    def turns() -> list[set[str]]:
        by_id: dict[str, set[str]] = defaultdict(set)
        for line in gateway.log_text().splitlines():
            fields = json.loads(line)
            if "correlation" in fields:
                by_id[fields["correlation"]].add(fields["process"].partition(":")[0])
        return [processes for processes in by_id.values() if {"websocket", "session", "model"} <= processes]

    wait_until(turns, what="a turn's lines under one id in the channel, the session and the model")
    gateway.stop()


@pytest.mark.parametrize("environment", [{}, {"OPENCLAW_AUTH_TOKEN": ""}], ids=["none", "blank"])
def test_a_public_bind_without_a_token_does_not_start(
    make_gateway: GatewayFactory, environment: dict[str, str]
) -> None:
    gateway = make_gateway(config={"bind_address": "0.0.0.0"}, environment=environment)
    refused = gateway.cli("start", "--demo", "--port", "0", "--http-port", "0")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("Error: auth_token must be set when binding to a non-loopback address")
    assert refused.stderr.count("\n") == 1
    assert not gateway.state_dir.exists()
