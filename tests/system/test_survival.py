"""Kills and stops each process of a gateway in turn while people talk; each of them must get each answer once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from tests.system.chatter import chatting
from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.proc import is_alive
from tests.system.versions import CANNOT_FORK, make_version

SERVICES = ("persistence", "model", "router", "websocket", "http")
QUICK = {
    "supervision": {"ping_interval_seconds": 0.3, "ping_timeout_seconds": 1.5},
    "sessions": {"ping_timeout_seconds": 1.5},
    "websocket": {"messages_per_minute_per_connection": 1_000_000},
}


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
@pytest.mark.parametrize("victim", [*SERVICES, "supervisor", "admin", "websocket:local:chat-1"])
def test_the_death_of_any_process_costs_nobody_an_answer(
    make_gateway: GatewayFactory, victim: str, with_signal: signal.Signals
) -> None:
    gateway = make_gateway(config=QUICK).start()

    async def scene() -> None:
        async with chatting(lambda: gateway.ws_url, 4, deadline_s=200.0) as people:
            old = await asyncio.to_thread(gateway.kill, victim, with_signal)
            await asyncio.to_thread(
                wait_until, lambda: not is_alive(old), deadline_s=30.0, what=f"{victim} ended"
            )
            await asyncio.gather(*(each.wait_for_answers(3, deadline_s=45.0) for each in people))
            assert await asyncio.to_thread(gateway.pid_of, victim) != old

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_several_deaths_in_a_row_cost_nobody_an_answer(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=QUICK).start()

    async def scene() -> None:
        async with chatting(lambda: gateway.ws_url, 4, deadline_s=200.0) as people:
            for victim in ("router", "persistence", "websocket", "model", "persistence"):
                await asyncio.to_thread(gateway.kill, victim)
                await asyncio.gather(*(each.wait_for_answers(1, deadline_s=45.0) for each in people))

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_a_service_for_which_there_is_no_process_for_a_while_comes_up_when_there_is(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    refused = tmp_path / "no-forks"
    code = make_version(tmp_path / "code", "0.0.9", CANNOT_FORK)
    gateway = make_gateway(
        config=QUICK, environment={"PYTHONPATH": str(code), "NO_FORKS": str(refused)}
    ).start()

    async def scene() -> None:
        async with chatting(lambda: gateway.ws_url, 2, deadline_s=200.0) as people:
            supervisor = gateway.pid_of("supervisor")
            refused.touch()
            await asyncio.to_thread(gateway.kill, "persistence")
            again = re.compile("(no PersistenceActor could be created.*){3}", re.DOTALL)
            await asyncio.to_thread(
                wait_until, lambda: again.search(gateway.log_text()), what="it was tried again"
            )
            refused.unlink()
            await asyncio.gather(*(each.wait_for_answers(3, deadline_s=45.0) for each in people))
            assert await asyncio.to_thread(gateway.pid_of, "supervisor") == supervisor

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_when_start_dies_everything_ends_and_the_next_start_continues(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=QUICK).start()

    async def scene() -> None:
        async with chatting(lambda: gateway.ws_url, 4, deadline_s=200.0) as people:
            gateway.note_processes()
            os.kill(gateway.pid, signal.SIGKILL)
            await asyncio.to_thread(gateway.wait)
            await asyncio.to_thread(
                wait_until, lambda: not gateway.processes(), deadline_s=30.0, what="nothing of it is left"
            )
            await asyncio.to_thread(gateway.start)
            await asyncio.gather(*(each.wait_for_answers(2, deadline_s=45.0) for each in people))

    asyncio.run(scene())
    assert gateway.stop() == 0


FOLLOW_UPS = [f"follow-up {number}" for number in range(1, 11)]


async def _send_eleven(gateway: Gateway) -> list[str]:
    async with Client(gateway.ws_url) as client:
        ids = [await client.send("/demo slow 4", message_id="m-0")]
        await client.expect("assistant_chunk")
        for number, text in enumerate(FOLLOW_UPS, start=1):
            ids.append(await client.send(text, message_id=f"m-{number}"))
        await client.expect("message_accepted", messageId=ids[-1])
        return ids


async def _check_eleven(gateway: Gateway, ids: list[str]) -> None:
    async with Client(gateway.ws_url) as client:
        await client.resume(0)
        await client.expect("turn_done", messageId=ids[-1], deadline_s=30.0)
        events = client.durable()
        assert_seqs_unbroken(events)
        assert_one_answer_each(events, ids)
        assert [done["text"] for done in client.done()[1:]] == [f"echo: {text}" for text in FOLLOW_UPS]
        recall = await client.turn("/demo recall")
        assert recall["text"] == "turns=11 first=/demo slow 4 last=follow-up 10"


@pytest.mark.parametrize("how", ["SIGTERM", "SIGTERM to the group", "SIGKILL of everything", "stop"])
def test_eleven_accepted_messages_are_answered_once_across_a_restart(
    make_gateway: GatewayFactory, how: str
) -> None:
    gateway = make_gateway(config={"graceful_shutdown_seconds": 1.0}).start()
    ids = asyncio.run(_send_eleven(gateway))
    match how:
        case "SIGTERM":
            assert gateway.terminate() == 0
            gateway.check_nothing_left()
        case "SIGTERM to the group":
            gateway.note_processes()
            os.killpg(gateway.pid, signal.SIGTERM)
            assert gateway.wait() == 0
            gateway.check_nothing_left()
        case "stop":
            assert gateway.stop() == 0
        case _:
            gateway.kill_all()
    gateway.restart()
    asyncio.run(_check_eleven(gateway, ids))
    assert gateway.stop() == 0


def test_a_turn_that_fits_into_the_grace_period_is_finished_before_the_end(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo slow 1")
            await client.expect("assistant_chunk")
            gateway.note_processes()
            os.kill(gateway.pid, signal.SIGTERM)
            done = await client.expect("turn_done", messageId=message_id)
            assert (done["status"], done["turnId"]) == ("completed", f"turn-{message_id}")
            await client.connection.wait_closed()
            assert (client.connection.close_code, client.connection.close_reason) == (1001, "shutdown")

    asyncio.run(scene())
    assert gateway.wait() == 0
    gateway.check_nothing_left()
