"""The document says what the interface does: schemathesis reads it, and asks what it allows and what it does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_actors.channels.http.operations import HEALTH_OPERATIONS, OPERATIONS
from tests.size import FULL
from tests.system.api.client import Api
from tests.system.api.test_operations import talk
from tests.system.conftest import GatewayFactory

TOKEN = "the-token"
LEFT_OUT = ("drain", "shut_down", "restart_actor", "stop_actor", "follow_events")
"""They would end what is tested, and the last has no end itself; tests of their own drive them."""
KNOWN = """
[parameters]
"path.key" = "websocket:default:main"
"""
"""A conversation that there is, so that not every path ends at one that there is not."""


def test_the_document_names_exactly_what_is_served(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()
    api = Api(gateway.http_url)
    document = api.get("/api/openapi.json")
    declared = {(each.method, each.path) for each in (*OPERATIONS, *HEALTH_OPERATIONS)}
    assert declared == {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    for method, path in sorted(declared):
        if path in ("/api/drain", "/api/shutdown", "/api/events"):
            continue
        answer = api(method, re.sub(r"\{\w+\}", "x", path), raw=b"")
        assert answer.status not in (405, 500), f"{method} {path}"
        assert answer.status != 404 or answer.code == "unknown", f"{method} {path} is not served"
    allowed = {path: {method.upper() for method in methods} for path, methods in document["paths"].items()}
    for path, methods in allowed.items():
        refused = api("PUT", re.sub(r"\{\w+\}", "x", path))
        assert refused.status == 405
        assert methods <= set(refused.headers["allow"].split(","))
    gateway.stop()


@pytest.mark.timeout(450)
def test_every_answer_is_as_documented(make_gateway: GatewayFactory, tmp_path: Path) -> None:
    config = {"auth_token": f"raw:{TOKEN}", "http": {"requests_per_minute_per_client": 1_000_000}}
    gateway = make_gateway(config=config).start()
    talk(gateway, "one", "two", token=TOKEN)
    url = f"{gateway.http_url}/api/openapi.json"
    _ask_everything(url, tmp_path, "--mode", "all", "--phases", "coverage,fuzzing", settings="")
    # Once is enough of wrong tokens: an address has so many a minute.
    known = ("--mode", "positive", "--phases", "fuzzing", "--exclude-checks", "ignored_auth")
    _ask_everything(url, tmp_path, *known, settings=KNOWN)
    assert "Traceback" not in gateway.log_text()
    assert gateway.status()["healthy"] is True
    gateway.stop()


def _ask_everything(url: str, directory: Path, *arguments: str, settings: str) -> None:
    file = directory / "schemathesis.toml"
    file.write_text(settings)
    left_out = [argument for name in LEFT_OUT for argument in ("--exclude-operation-id", name)]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(file), "run", url),
            *("--header", f"Authorization: Bearer {TOKEN}", "--request-timeout", "30"),
            *(
                "--phases",
                "coverage,fuzzing",
                "--max-examples",
                "10" if FULL else "4",
                "--seed",
                "20261125",
                "--no-color",
                "--warnings",
                "off",
            ),
            *left_out,
            *arguments,
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
