"""`doctor` with a gateway and without one: what it finds, that it changes nothing, and what `--fix` repairs."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.providers.calling import KEY
from tests.system.providers.fake import Exchange, FakeProvider

TOKEN = "kJ8_2mPqX-7vLz0RtYw3NbHcDf5"


def doctor(gateway: Gateway, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = gateway.cli("doctor", "--json", *arguments)
    assert result.stderr == ""
    report: dict[str, Any] = json.loads(result.stdout)
    assert KEY not in result.stdout
    assert TOKEN not in result.stdout
    return result.returncode, report


def of(report: dict[str, Any], check: str, level: str = "") -> list[dict[str, Any]]:
    return [each for each in report["findings"] if each["check"] == check and level in ("", each["level"])]


def modes(root: Path) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*")}


def test_a_running_gateway_is_asked(make_gateway: GatewayFactory) -> None:
    async def models(exchange: Exchange) -> None:
        if exchange.headers.get("authorization") == f"Bearer {KEY}" and not refusing:
            await exchange.refuse(200, {"data": [{"id": "m1"}]})
        else:
            await exchange.refuse(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})

    refusing: list[bool] = []
    provider = FakeProvider()
    provider.default = models
    gateway = make_gateway(
        config={
            "llm": {"provider": "openai-compatible", "endpoint": provider.url, "model": "m1"},
            "supervision": {"ping_interval_seconds": 0.2},
        },
        environment={"OPENAI_API_KEY": KEY, "OPENCLAW_AUTH_TOKEN": TOKEN},
        demo=False,
    ).start()
    # The key and the token are known to the gateway alone.
    for name in ("OPENAI_API_KEY", "OPENCLAW_AUTH_TOKEN"):
        del gateway._environment[name]

    async def scene() -> None:
        async with provider:
            code, report = await asyncio.to_thread(doctor, gateway)
            assert (code, report["ok"], report["running"]) == (0, True, True), report
            assert "takes the key, and has m1" in of(report, "provider", "ok")[0]["what"]
            assert of(report, "store", "ok")[0]["what"] == "the store was just written to"
            assert len(of(report, "ports", "ok")) == 2
            assert of(report, "actors", "ok")

            refusing.append(True)
            gateway.kill("http")
            await asyncio.to_thread(
                wait_until, lambda: gateway.nodes()["http"]["state"] == "running", what="http is back"
            )
            aside = gateway.state_dir / "memory" / "sessions" / "YQ.jsonl.quarantined-1700000000000"
            aside.touch(0o600)
            (gateway.state_dir / "memory").chmod(0o755)
            code, report = await asyncio.to_thread(doctor, gateway, "--fix")
            assert code == 1
            assert "refuses the API key" in of(report, "provider", "error")[0]["what"]
            assert any("http was restarted once" in each["what"] for each in of(report, "actors", "warning"))
            assert aside.name in of(report, "store", "warning")[0]["what"]
            (mode,) = of(report, "state directory", "warning")
            assert mode["fixed"] == f"chmod 700 {gateway.state_dir}/memory"

    asyncio.run(scene())
    human = gateway.cli("doctor")
    assert human.returncode == 1
    assert "no connection to 127.0.0.1" in human.stdout
    assert gateway.stop() == 0


def test_without_a_gateway_nothing_changes_and_leftovers_go_with_fix(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"port": 0, "http": {"port": 0}}).start()
    gateway.kill_all()
    before = modes(gateway.state_dir)
    code, report = doctor(gateway)
    assert (code, report["running"]) == (0, False)
    assert any("was killed" in each["what"] for each in of(report, "run directory"))
    assert modes(gateway.state_dir) == before

    code, report = doctor(gateway, "--fix")
    assert code == 0
    assert any(each.get("fixed") for each in of(report, "run directory"))
    assert list((gateway.state_dir / "run").iterdir()) == []
    assert gateway.start().stop() == 0


def test_a_broken_configuration_is_a_finding_and_wrong_usage_is_2(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"port": "x", "prot": 1})
    code, report = doctor(gateway)
    assert code == 1
    assert len(of(report, "configuration", "error")) == 2
    assert of(report, "limits")
    assert gateway.cli("doctor", "--repair").returncode == 2


def test_somebody_else_on_the_port(make_gateway: GatewayFactory) -> None:
    first = make_gateway().start()
    port = int(first.ws_url.rpartition(":")[2].partition("/")[0])
    second = make_gateway(config={"port": port, "http": {"port": 0}})
    code, report = doctor(second)
    assert code == 1
    assert f"port {port} of 127.0.0.1 is taken by python" in of(report, "ports", "error")[0]["what"]
    assert first.stop() == 0


def test_a_closed_pipe_is_no_traceback(make_gateway: GatewayFactory) -> None:
    command, environment = make_gateway().cli_command("doctor")
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" | head -n 1', "sh", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.stdout == "configuration\n"
    assert "Traceback" not in result.stderr
