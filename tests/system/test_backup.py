"""A backup of a gateway under load, proven by restoring it: what was answered is there once, what was open goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.core.records import encode_record
from openclaw_actors.store.files import Files
from openclaw_actors.store.journal import frame, header_line
from openclaw_actors.store.names import plain_name
from openclaw_actors.store.restoring import exchange, unpack
from tests.system.chatter import chatting
from tests.system.client import Client, assert_one_answer_each
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.unit.store.scene import turn

pytestmark = pytest.mark.timeout(180)

PEOPLE, STORED = 5, 300


def journals(state: Path, store: str = "memory") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (state / store / "sessions").glob("*.jsonl")}


def fill(state: Path, count: int) -> None:
    (state / "memory" / "sessions").mkdir(parents=True)
    for number in range(count):
        add(state, number)


def add(state: Path, number: int = 0, *, text: str = "", key: str = "") -> Path:
    """A stored conversation of one turn; returns its journal."""
    key = key or f"note:{number}"
    lines = [header_line(key), *frame([encode_record(record) for record in turn(0, text=text)], [1] * 3)]
    path = state / "memory" / "sessions" / f"{plain_name(key, limit=200)}.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_backup_under_load_is_restored_elsewhere_and_goes_on(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway()
    fill(gateway.state_dir, STORED)
    gateway.start()
    backup = gateway.directory / "backup.tar.gz"
    seen: dict[str, list[str]] = {}
    slow = ""

    async def scene() -> None:
        nonlocal slow
        async with (
            chatting(lambda: gateway.ws_url, PEOPLE) as people,
            Client(gateway.ws_url, session="slow") as client,
        ):
            slow = await client.send("/demo slow 5")
            await client.expect("assistant_chunk")
            seen.update({each.session: list(each.answers) for each in people})
            done = await asyncio.to_thread(gateway.cli, "backup", str(backup), "--json", deadline_s=90.0)
            assert done.returncode == 0, f"{done.stderr}\n{gateway.printed()}"
            assert json.loads(done.stdout)["files"] > STORED
            await asyncio.gather(*(each.wait_for_answers(1) for each in people))

    asyncio.run(scene())
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in gateway.directory.iterdir() if path.name.endswith(".tmp")] == []
    assert not (gateway.state_dir / "memory" / ".backup").exists()
    again = gateway.cli("backup", str(backup))
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    running = gateway.cli("restore", str(backup), "--force")
    assert (running.returncode, f"pid {gateway.pid}" in running.stderr) == (1, True)
    gateway.kill_all()

    other = make_gateway()
    with backup.open("rb") as file:  # the bytes as they are unpacked, before any gateway saw them
        root = other.directory / "plain" / "memory"
        assert exchange(unpack(file, root, Files())[0], root, Files()) is None
    before, restored = journals(gateway.state_dir), journals(other.directory / "plain")
    assert len(restored) >= STORED + PEOPLE + 1
    for name, data in restored.items():
        assert before[name].startswith(data), name
        assert data.endswith(b"\n")

    done = other.cli("restore", str(backup))
    assert done.returncode == 0, done.stderr
    other.start()

    async def after() -> None:
        for session, answered in seen.items():
            async with Client(other.ws_url, session=session) as client:
                await client.resume(0)
                assert (await client.turn("and now"))["text"] == "echo: and now"
                events = client.durable()
                ids = [event["messageId"] for event in events if event["type"] == "message_accepted"]
                assert set(answered) <= set(ids)
                assert_one_answer_each(events, ids)
        async with Client(other.ws_url, session="slow") as client:
            await client.resume(0)
            done = await client.expect("turn_done", deadline_s=60.0, messageId=slow)
            assert done["status"] == "completed"

    asyncio.run(after())
    assert other.stop() == 0


def test_restore_over_a_store_sets_it_aside_and_refuses_what_is_damaged(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway()
    fill(gateway.state_dir, 1)
    backup = gateway.directory / "backup.tar"
    assert gateway.cli("backup", str(backup)).returncode == 0, "of a gateway that does not run"
    add(gateway.state_dir, 1)
    whole = journals(gateway.state_dir)

    damaged = gateway.directory / "damaged.tar"
    data = bytearray(backup.read_bytes())
    data[data.index(b"answer to m0")] ^= 1
    damaged.write_bytes(data)
    for arguments in ((str(damaged), "--force"), (str(damaged), "--dry-run"), (str(backup),)):
        refused = gateway.cli("restore", *arguments)
        assert refused.returncode == 1
        assert ("--force" if arguments == (str(backup),) else "damaged") in refused.stderr
    dry = json.loads(gateway.cli("restore", str(backup), "--dry-run", "--json").stdout)
    assert (dry["conversations_there"], dry["set_aside"]) == (2, None)
    assert journals(gateway.state_dir) == whole

    done: dict[str, Any] = json.loads(gateway.cli("restore", str(backup), "--force", "--json").stdout)
    aside = Path(done["set_aside"])
    assert journals(aside.parent, aside.name) == whole
    gateway.start()
    listed = json.loads(gateway.cli("sessions", "list", "--json").stdout)["sessions"]
    assert [(each["session"], each["turns"]) for each in listed] == [("note:0", 1)]
    assert gateway.stop() == 0

    (gateway.state_dir / "memory" / "format").write_text("2\n")
    names = sorted(path.name for path in gateway.state_dir.rglob("*") if "memory/" in str(path))
    count = (gateway.state_dir / "memory" / "store.lock").read_bytes()
    gateway.spawn()
    assert gateway.wait() == 1
    assert "was written by a newer version (format 2" in gateway.err.text()
    assert names == sorted(path.name for path in gateway.state_dir.rglob("*") if "memory/" in str(path))
    assert count == (gateway.state_dir / "memory" / "store.lock").read_bytes()


def test_backup_begins_anew_when_the_store_dies_and_leaves_nothing_when_it_is_interrupted(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway()
    fill(gateway.state_dir, 3_000)
    gateway.start()
    staging = gateway.state_dir / "memory" / ".backup"
    killed = _begin(gateway, "killed.tar", staging)
    gateway.kill("persistence")
    assert killed.wait(90.0) == 0
    listed = gateway.cli("restore", str(gateway.directory / "killed.tar"), "--dry-run", "--json")
    assert listed.returncode == 1, "a gateway runs"
    wait_until(lambda: not staging.exists(), what="nothing of it is left in the store")
    interrupted = _begin(gateway, "interrupted.tar", staging)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait(30.0) == 130
    wait_until(lambda: not staging.exists(), what="nothing of it is left in the store")
    left = [name for name in os.listdir(gateway.directory) if "interrupted" in name]
    assert left == []
    assert gateway.stop() == 0


def _begin(gateway: Gateway, name: str, staging: Path) -> Any:
    command, environment = gateway.cli_command("backup", str(gateway.directory / name))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: staging.exists() or process.poll() is not None, what="it has begun")
    assert process.poll() is None
    return process
