"""Retention of a running gateway: what nobody uses goes to the archive, what somebody uses stays."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.test_backup import add

pytestmark = pytest.mark.timeout(120)

OLD = 1_000.0


def old(gateway: Gateway, *numbers: int) -> None:
    """Stored conversations that nobody has used since 1970."""
    (gateway.state_dir / "memory" / "sessions").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = add(gateway.state_dir, number)
        os.utime(path, (OLD, OLD))


def data(gateway: Gateway, *arguments: str) -> Any:
    result = gateway.cli(*arguments, "--json")
    assert result.returncode == 0, f"{result.stderr}\n{gateway.printed()}"
    return json.loads(result.stdout)


def stored(gateway: Gateway) -> list[str]:
    return sorted(each["session"] for each in data(gateway, "sessions", "list")["sessions"])


def names(report: dict[str, Any]) -> list[str]:
    return [each["session"] for each in report["archived"]]


def test_what_is_old_is_archived_on_demand_and_what_lives_stays(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"retention": {"max_age_days": 30}})
    old(gateway, 1, 2, 3)
    gateway.start()
    followed = "websocket:local:followed"
    assert gateway.cli("send", "hello").returncode == 0
    live = next(path for path in sessions(gateway) if path.name.startswith("d2Vic29ja2V0"))
    os.utime(live, (OLD, OLD))  # whatever its file says

    dry = data(gateway, "retention", "run", "--dry-run")
    assert (names(dry), dry["kept"], dry["dry_run"]) == (["note:1", "note:2", "note:3"], 1, True)
    over_http = urllib.request.Request(
        f"{gateway.http_url}/api/retention/run",
        data=b'{"dry_run":true}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(over_http, timeout=30.0) as answer:
        document = json.load(answer)
    assert (names(document), document["more"]) == (names(dry), False)
    assert len(stored(gateway)) == 4

    async def while_somebody_follows() -> Any:
        async with Client(gateway.ws_url, session="followed") as client:
            await client.resume(0)
            await client.expect("turn_done", messageId="m0")
            await asyncio.to_thread(gateway.kill, "persistence")  # its next incarnation knows nothing of that
            return await asyncio.to_thread(data, gateway, "retention", "run")

    os.utime(add(gateway.state_dir, key=followed), (OLD, OLD))
    done = asyncio.run(while_somebody_follows())
    assert (names(done), done["kept"], done["purged"]) == (["note:1", "note:2", "note:3"], 2, [])
    assert stored(gateway) == [followed, "websocket:local:main"]
    archives = data(gateway, "sessions", "archived")["archives"]
    assert {each["archive"] for each in archives} == {each["archive"] for each in done["archived"]}
    assert gateway.cli("send", "/demo recall").stdout == "turns=1 first=hello last=hello\n"
    assert gateway.cli("sessions", "restore", "note:2").returncode == 0
    assert stored(gateway) == ["note:2", followed, "websocket:local:main"]
    assert gateway.stop() == 0


def test_retention_by_the_clock_archives_and_removes_for_good(make_gateway: GatewayFactory) -> None:
    limits = {"max_age_days": 30, "archive_max_total_mb": 1, "enabled": True, "interval_seconds": 0.5}
    gateway = make_gateway(config={"retention": limits})
    old(gateway, 1)
    gateway.start()
    assert gateway.cli("send", "hello").returncode == 0
    wait_until(lambda: stored(gateway) == ["websocket:local:main"], deadline_s=30.0)
    assert data(gateway, "sessions", "archived")["total"] == 1, "it is small enough to be kept"
    gateway.kill("persistence")  # its next incarnation goes on
    (gateway.state_dir / "memory" / "sessions").mkdir(exist_ok=True)
    path = add(gateway.state_dir, 2, text="x" * 1_100_000)
    os.utime(path, (OLD, OLD))
    wait_until(lambda: data(gateway, "sessions", "archived")["total"] == 0, deadline_s=30.0)
    assert stored(gateway) == ["websocket:local:main"]
    assert gateway.stop() == 0


def test_retention_without_limits_says_which_keys_there_are(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"retention": {"enabled": True}})
    gateway.spawn()
    assert gateway.wait() == 2
    assert "retention.enabled" in gateway.err.text()


def sessions(gateway: Gateway) -> list[Path]:
    return list((gateway.state_dir / "memory" / "sessions").glob("*.jsonl"))
