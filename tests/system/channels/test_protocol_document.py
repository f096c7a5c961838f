"""The client in docs/protocol.md and the channel in docs/extending.md, run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.system.client import Client, assert_one_answer_each
from tests.system.gateway import ROOT, Gateway, wait_until

DOCS = Path(ROOT) / "docs"


def running(gateway: Gateway, directory: Path, text: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return example("protocol.md", "class Question", directory, gateway.ws_url, text)


def letters(gateway: Gateway, directory: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    inbox, outbox = str(directory / "in"), str(directory / "out")
    return example("extending.md", "LETTERS_TOKEN", directory, gateway.ws_url, inbox, outbox)


@contextmanager
def example(document: str, mark: str, directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program in this document that holds this mark, while it runs."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)
    (code,) = (block for block in blocks if mark in block)
    file = directory / "client.py"
    file.write_text(code)
    command = [sys.executable, str(file), *arguments]
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


def test_a_letter_is_answered_once_whatever_dies(gateway: Gateway, tmp_path: Path) -> None:
    async def begun() -> None:
        async with Client(gateway.ws_url, session="letters") as watcher:
            await watcher.resume(0)
            await watcher.expect("turn_started", messageId="1", deadline_s=30)

    async def seen() -> list[dict[str, object]]:
        async with Client(gateway.ws_url, session="letters") as watcher:
            await watcher.resume(0)
            await watcher.expect("turn_done", messageId="2", deadline_s=30)
            return [event for event in watcher.durable() if event.get("messageId") == "1"]

    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    outbox.mkdir()
    (inbox / "1.txt").write_text("/demo slow 2")
    (inbox / "2.txt").write_text("hello")
    channel = gateway.pid_of("websocket")
    with letters(gateway, tmp_path):
        asyncio.run(begun())
        os.kill(channel, signal.SIGKILL)
    assert (inbox / "1.txt").exists()  # the program died, too, before there was an answer
    with letters(gateway, tmp_path):
        wait_until(lambda: not any(inbox.iterdir()), deadline_s=60, what="both letters are answered")
    kinds = [str(event["type"]) for event in asyncio.run(seen())]
    assert kinds.count("message_accepted") == kinds.count("turn_done") == 1
    assert (outbox / "1.txt").read_text().endswith(" 20")
    assert (outbox / "2.txt").read_text() == "echo: hello"
