"""A new version takes over under load; one that cannot leaves everybody with the old one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from openclaw_actors import __version__
from tests.system.chatter import Chatter, chatting
from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken
from tests.system.conftest import GatewayFactory
from tests.system.gateway import ROOT, Gateway, wait_until
from tests.system.versions import CANNOT_LISTEN, HANGS, NEWER_FORMAT, REWRITES, make_version, successor_of

PEOPLE = 10
GAP_S = 30.0
"""Nobody is answered for so long at most; an idle machine takes a twentieth of it, see docs/benchmarks.md."""
CONFIG = {"websocket": {"messages_per_minute_per_connection": 100_000}}


async def longest_silence(people: Sequence[Chatter], until: asyncio.Event) -> float:
    """The longest time in which nobody got an answer, in seconds."""
    longest, seen, since = 0.0, 0, time.monotonic()
    while not until.is_set():
        now, count = time.monotonic(), sum(len(each.answers) for each in people)
        longest = max(longest, now - since)
        if count > seen:
            seen, since = count, now
        await asyncio.sleep(0.01)
    return longest


async def in_another_thread(gateway: Gateway) -> Gateway:
    return await asyncio.to_thread(gateway.start, "--take-over")


def test_an_upgrade_under_load_loses_nothing_repeats_nothing_and_nobody_waits_for_long(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    old_code = make_version(tmp_path / "old", "0.0.9")
    old = make_gateway(config=CONFIG, environment={"PYTHONPATH": str(old_code)}).start()
    new = successor_of(old)
    try:
        asyncio.run(_upgrade(old, new))
        assert old.wait() == 0
        old.check_no_process_left()
        assert f"pid {new.pid} ({__version__}) takes over" in old.out.text()
        assert f"takes over from pid {old.pid} (0.0.9)" in new.out.text()
        new.stop()
    finally:
        new.close()


async def _upgrade(old: Gateway, new: Gateway) -> None:
    async with Client(old.ws_url, session="slow") as client:
        first = await client.send("/demo slow 6")
        await client.expect("turn_started", messageId=first)
        second = await client.send("after it")
        await client.expect("message_accepted", messageId=second)
        async with chatting(lambda: old.ws_url, PEOPLE) as people:
            done = asyncio.Event()
            silence = asyncio.create_task(longest_silence(people, done))
            await asyncio.gather(*(each.wait_for_answers(3) for each in people))
            await in_another_thread(new)
            await asyncio.gather(*(each.wait_for_answers(3) for each in people))
            done.set()
            assert await silence < GAP_S
            assert all(each.reconnects for each in people)
        await client.close()
        await client.connect()
        await client.resume(client.last_seq)
        await client.expect("turn_done", messageId=second)
        assert_seqs_unbroken(client.durable())
        assert_one_answer_each(client.durable(), [first, second])
        assert {event["status"] for event in client.done()} == {"completed"}


def test_a_version_that_cannot_take_over_leaves_the_old_one_serving(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    newer = make_version(tmp_path / "newer", "9.0.0", NEWER_FORMAT)
    broken = make_version(tmp_path / "broken", "9.0.1", {**NEWER_FORMAT, **CANNOT_LISTEN})
    running = make_gateway(config=CONFIG, environment={"PYTHONPATH": str(newer)}).start()
    stuck = make_version(tmp_path / "stuck", "9.0.2", {**NEWER_FORMAT, **HANGS})
    this, failing, hanging = (successor_of(running, each) for each in (ROOT, broken, stuck))
    try:
        asyncio.run(_fail(running, this, failing, hanging))
        assert not (running.state_dir / "run" / "successor.json").exists()
        this.check_no_process_left()
        failing.check_no_process_left()
        hanging.check_no_process_left()
        running.stop()
    finally:
        this.close()
        failing.close()
        hanging.close()


async def _fail(running: Gateway, downgrade: Gateway, failing: Gateway, hanging: Gateway) -> None:
    async with chatting(lambda: running.ws_url, 3) as people:
        pids = {name: node["pid"] for name, node in running.nodes().items()}
        store_format = (running.state_dir / "memory" / "format").read_bytes()

        downgrade.spawn("--take-over")
        assert await asyncio.to_thread(downgrade.wait) == 1
        assert "was written by a newer version (format 2, this one knows 1)" in downgrade.err.text()
        assert {name: node["pid"] for name, node in running.nodes().items()} == pids
        assert (running.state_dir / "memory" / "format").read_bytes() == store_format

        failing.spawn("--take-over")
        assert await asyncio.to_thread(failing.wait) == 1
        assert f"(pid {running.pid}, 9.0.0) serves again" in failing.err.text()
        await asyncio.gather(*(each.wait_for_answers(2) for each in people))

        hanging.spawn("--take-over")
        takes_over = re.compile(rf"pid {hanging.pid} \(9\.0\.2\) takes over")
        assert await asyncio.to_thread(running.out.wait_for, takes_over, deadline_s=60.0)
        os.killpg(hanging.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        assert await asyncio.to_thread(hanging.wait) == 1
        assert f"(pid {running.pid}, 9.0.0) serves again" in hanging.err.text()
        await asyncio.gather(*(each.wait_for_answers(2) for each in people))


def test_a_migration_by_a_version_that_does_not_get_ready_is_undone_and_by_one_that_does_it_stays(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    running = make_gateway(config=CONFIG).start()
    broken = make_version(tmp_path / "broken", "9.0.1", {**REWRITES, **CANNOT_LISTEN})
    newer = make_version(tmp_path / "newer", "9.0.2", NEWER_FORMAT)
    failing, good = successor_of(running, broken), successor_of(running, newer)
    try:
        asyncio.run(_migrate(running, failing, good))
        failing.check_no_process_left()
        good.stop()
    finally:
        failing.close()
        good.close()


async def _migrate(running: Gateway, failing: Gateway, good: Gateway) -> None:
    memory = running.state_dir / "memory"
    async with Client(running.ws_url, session="busy") as client:
        await client.turn("something to keep", session="idle")
        sent = [await client.send("/demo slow 5")]
        await client.expect("turn_started", messageId=sent[0])
        failing.spawn("--take-over")
        assert await asyncio.to_thread(failing.wait) == 1
        assert "from format 1 to 2" in failing.out.text()
        assert f"(pid {running.pid}, {__version__}) serves again" in failing.err.text()
        assert (memory / "format").read_text() == "1\n"
        await client.close()
        await client.connect()
        await client.resume(client.last_seq)
        await client.expect("turn_started", messageId=sent[0], attempt=2)
        await in_another_thread(good)
        assert (memory / "format").read_text() == "2\n"
        await client.close()
        await client.connect()
        await client.resume(client.last_seq)
        sent.append(await client.send("after it"))
        await client.expect("turn_done", messageId=sent[1], deadline_s=60.0)
        await client.turn("something more", session="idle")
        await client.resume(0, session="idle")
        await client.expect("turn_done", sessionId="idle", text="echo: something to keep")
        assert_seqs_unbroken(client.durable())
        assert_one_answer_each(client.durable(), sent)
        assert {event["status"] for event in client.done()} == {"completed"}
    wait_until(lambda: not list(memory.glob(".before-migration*")), what="what was kept is removed")
