"""docs/first-steps.md: each command prints what stands below it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.system.conftest import GatewayFactory
from tests.system.gateway import ROOT, Gateway

DOCUMENT = Path(ROOT) / "docs" / "first-steps.md"
STEP = re.compile(r"^```sh\n(.*?)```\n\n```(?:text|json)\n(.*?)```", re.DOTALL | re.MULTILINE)
NOT_HERE = ("scripts/run --demo", ".venv/bin/python -m websockets", "scripts/run send '/demo slow")
"""The start is the test's own, one is for a keyboard, one needs a kill; all have tests of their own."""
SETTING = "messages_per_minute_per_connection"


def shape(text: str) -> list[str]:
    """The lines without what differs each time: numbers, spans, sizes, ids, widths of columns."""
    for pattern, stands_for in (
        (r"chatcmpl-[\w-]+", "ID"),
        (r"\d+(?:\.\d+)?", "0"),
        (r"(?:\b0 (?:h|min|s|ms|B|kB|MB)\b ?)+", "# "),
        (r" +", " "),
    ):
        text = re.sub(pattern, stands_for, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def run(gateway: Gateway, command: str) -> str:
    words = shlex.split(command)
    if words[0] == "scripts/run":
        done = gateway.cli(*words[1:])
    else:
        assert words[0] == "curl"
        words = [word.replace("http://127.0.0.1:18790", gateway.http_url) for word in words]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_command_prints_what_stands_below_it(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"websocket": {SETTING: 120}}).start()
    ran = []
    for commands, printed in STEP.findall(DOCUMENT.read_text()):
        command = shlex.join(shlex.split(commands.replace("\\\n", " ").strip().splitlines()[-1]))
        if command.startswith(NOT_HERE):
            continue
        if command == "scripts/run reload":
            gateway.configure({"websocket": {SETTING: 60}})
        prints = shape(run(gateway, command))
        assert [line for line in shape(printed) if line not in prints] == [], prints
        ran.append(command.split()[1])
    assert ran == ["send", "-s", "status", "reload", "backup"]
    gateway.stop()
