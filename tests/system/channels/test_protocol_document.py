"""The client in docs/protocol.md, run as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.client import Client, assert_one_answer_each
from tests.system.gateway import ROOT, Gateway

DOCUMENT = Path(ROOT) / "docs" / "protocol.md"


@contextmanager
def running(gateway: Gateway, directory: Path, text: str) -> Iterator[subprocess.Popen[str]]:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    file = directory / "client.py"
    file.write_text(code)
    command = [sys.executable, str(file), gateway.ws_url, text]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield client
    finally:
        client.kill()
        client.communicate()


def test_it_prints_the_answer(gateway: Gateway, tmp_path: Path) -> None:
    with running(gateway, tmp_path, "hello, gateway") as client:
        out, err = client.communicate(timeout=30)
    assert (out, err, client.returncode) == ("echo: hello, gateway\n", "", 0)


def test_its_connection_is_lost_and_it_misses_nothing(gateway: Gateway, tmp_path: Path) -> None:
    async def begun() -> str:
        async with Client(gateway.ws_url) as watcher:
            await watcher.resume(0)
            accepted = await watcher.expect("message_accepted", deadline_s=30)
            await watcher.expect("assistant_chunk")
            return str(accepted["messageId"])

    async def ended(message_id: str) -> str:
        async with Client(gateway.ws_url) as watcher:
            await watcher.resume(0)
            done = await watcher.expect("turn_done", messageId=message_id)
            assert_one_answer_each(watcher.durable(), [message_id])
            return str(done["text"])

    channel = gateway.pid_of("websocket")  # known before the answer begins, which does not wait
    with running(gateway, tmp_path, "/demo slow 3") as client:
        message_id = asyncio.run(begun())
        os.kill(channel, signal.SIGKILL)
        out, err = client.communicate(timeout=30)
    assert client.returncode == 0, err
    assert "trying again" in err
    assert out == asyncio.run(ended(message_id)) + "\n"
