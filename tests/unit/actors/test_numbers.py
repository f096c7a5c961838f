"""Gathering the numbers: one question a service for however many scrapers, none to those that are silent or dead."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest

from openclaw_actors.actors import numbers
from openclaw_actors.actors.board import Board
from openclaw_actors.actors.drain_time import DrainTime
from openclaw_actors.actors.numbers import Numbers
from openclaw_actors.actors.service import Service
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.metrics import kind_of, zeros
from openclaw_actors.core.supervision import RestartLimits, RestartPolicy
from openclaw_actors.errors import ActorGone
from openclaw_actors.messages import Pong


class Asker:
    """Stands in for the supervisor: what each service answers is a function of the question's number."""

    mailbox_depth = 1

    def __init__(self, answers: dict[str, Callable[[int], Awaitable[Pong]]]) -> None:
        self.answers = answers
        self.asked = dict.fromkeys(answers, 0)

    def spawn(self, coro: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(coro, name=name)

    async def ask(self, address: str, _message: object, *, timeout_s: float) -> Pong:
        self.asked[address] += 1
        return await self.answers[address](self.asked[address])


async def connections(number: int) -> Pong:
    return Pong(
        pid=1, incarnation=1, mailbox_depth=3, gauges={"ws_connections": number, "actors_failed": 1.0}
    )


async def silence(_number: int) -> Pong:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def death(_number: int) -> Pong:
    raise ActorGone("dead")


def world(**answers: Callable[[int], Awaitable[Pong]]) -> tuple[Numbers, Asker, dict[str, Service], Board]:
    asker, board = Asker(answers), Board()
    services = {name: Service(name, RestartPolicy(RestartLimits()), GatewayConfig(), {}) for name in answers}
    for name, service in services.items():
        service.begin(name, os.getpid())
        service.state = "running"
    return Numbers(cast(AsyncActor, asker), services, board, DrainTime(os.devnull)), asker, services, board


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(10):
            await scene

    asyncio.run(within())


def test_all_is_there_and_what_several_say_adds_up() -> None:
    async def scene() -> None:
        gather, _, services, board = world(websocket=connections, router=connections)
        board.region("model")['llm_calls_total{result="ok"}'] += 4
        services["router"].policy.failed = True
        values = await gather.values()
        assert values.keys() >= zeros().keys()
        assert {key for key in values if kind_of(key) is None} == set()
        assert values['llm_calls_total{result="ok"}'] == 4
        assert values["actors_failed"] == 3
        assert values["drain_seconds"] == 0
        gather.drain.begins()
        assert 0 < gather.known()["drain_seconds"] < 5
        assert values['mailbox_depth{actor="websocket"}'] == 3
        assert values['mailbox_depth{actor="supervisor"}'] == 0, "the question itself is not counted"
        assert values['process_resident_bytes{actor="supervisor"}'] > 1_000_000

    play(scene())


def test_many_who_ask_together_cost_one_question_and_get_what_came_after_theirs() -> None:
    async def scene() -> None:
        gather, asker, _, _ = world(websocket=connections)
        first = await gather.values()
        many = await asyncio.gather(*(gather.values() for _ in range(100)))
        assert first["ws_connections"] == 1
        assert {each["ws_connections"] for each in many} == {2}
        assert asker.asked == {"websocket": 2}

    play(scene())


def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    async def scene() -> None:
        gather, _, _, _ = world(websocket=connections)
        impatient = asyncio.create_task(gather.values())
        patient = asyncio.create_task(gather.values())
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient)["ws_connections"] == 1

    play(scene())


def test_a_silent_service_is_waited_for_once_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        gather, asker, _, _ = world(websocket=connections, model=silence)
        loop = asyncio.get_running_loop()
        await gather.values()
        began_at = loop.time()
        for _ in range(3):
            values = await gather.values()
        assert loop.time() - began_at < numbers._WAIT_S * 3
        assert asker.asked == {"websocket": 4, "model": 1}
        assert values['mailbox_depth{actor="model"}'] == 0
        for task in list(gather._asking.values()):
            task.cancel()

    play(scene())


def test_a_dead_service_has_no_gauges_but_its_counts() -> None:
    async def scene() -> None:
        gather, asker, services, board = world(websocket=connections, model=death)
        board.region("websocket")["ws_slow_consumers_total"] += 1
        assert (await gather.values())["ws_connections"] == 1
        services["websocket"].ended()
        values = await gather.values()
        assert values["ws_connections"] == 0
        assert values["ws_slow_consumers_total"] == 1
        assert values['process_resident_bytes{actor="websocket"}'] == 0
        assert asker.asked["websocket"] == 1

    play(scene())
