"""Who answers: the model that was chosen, or who stands in for it; and never two of them in one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openclaw_actors.core.breaker import BreakerState, CircuitBreaker
from openclaw_actors.core.retry import RetryPolicy
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import Complete, ToolCall
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, CallError, OnDelta
from openclaw_actors.providers.calls import Caller, CallLimits
from openclaw_actors.providers.pool import Lane, ModelPool

__all__: list[str] = []

CALL = ToolCall(call_id="a", name="look", arguments="{}")

Step = CallError | str | Callable[[], Awaitable[str]]


class Model:
    """A provider that does what it is told to, and remembers what it was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[Step] = []
        self.default: Step = name
        self.asked: list[str | None] = []
        self.tools = False
        self.closed = False

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        self.asked.append(request.model)
        step = self.steps.pop(0) if self.steps else self.default
        text = await step() if callable(step) else step
        if isinstance(text, CallError):
            raise text
        half, broken, _ = text.partition("|")
        on_delta(half)
        if broken:
            raise failures.connection_failed("reset")
        return Answer(text=text, usage=Usage(), tool_calls=(CALL,) if self.tools else ())

    async def close(self) -> None:
        self.closed = True


class World:
    """A pool of models, a clock that only sleeping moves, and what was passed on."""

    def __init__(self, *fallbacks: str, choices: tuple[str, ...] = (), opens: bool = False) -> None:
        self.now = 0.0
        self.models: dict[str, Model] = {}
        self.said: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.retried = 0
        limits = CallLimits(concurrent=200)
        self.places = limits.places()
        self.pool = ModelPool(
            self.lane("main"),
            fallbacks=[self.lane(name) for name in fallbacks],
            choices={name: self.lane(name) for name in choices},
            places=self.places,
            open_lane=self.lane if opens else None,
        )
        self.pool.on_retry = self.retry
        self.pool.on_failed = lambda name, error: self.failed.append((name, error.code))

    def __getitem__(self, name: str) -> Model:
        return self.models[name]

    def lane(self, name: str) -> Lane:
        model = self.models[name] = Model(name)
        caller = Caller(
            model,  # type: ignore[arg-type]
            breaker=CircuitBreaker(threshold=2, cooldown_s=30.0),
            retries=RetryPolicy(retries=3, backoff_s=1.0, jitter=0.0),
            limits=CallLimits(),
            places=self.places,
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        return Lane(name, f"{name}-1", caller)

    def retry(self) -> None:
        self.retried += 1

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def ask(self, turn: str = "", model: str | None = None) -> str:
        async def scene() -> str:
            return (await self.call(turn, model)).model

        return asyncio.run(scene())

    def fail(self, turn: str = "", model: str | None = None) -> CallError:
        with pytest.raises(CallError) as failure:
            self.ask(turn, model)
        return failure.value

    async def call(self, turn: str = "", model: str | None = None) -> Answer:
        request = Complete(call_id="c", session="s", correlation_id="k", messages=(), model=model, turn=turn)
        return await self.pool.complete(request, self.said.append)

    def state(self, name: str) -> BreakerState:
        (found,) = [lane for lane in self.pool.lanes if lane.name == name]
        return found.caller.breaker.state


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)


def down(status: int = 529) -> CallError:
    return failures.refused(status, model="m", reason="", detail=f"HTTP {status}")


def test_the_configured_model_answers_and_nobody_else_is_asked() -> None:
    world = World("second")
    assert world.ask() == "main"
    assert world["second"].asked == []
    assert world.pool.describe() == ""


def test_who_comes_next_answers_where_the_first_fails_after_one_repetition() -> None:
    world = World("second", "third")
    world["main"].default = down()
    assert world.ask() == "second"
    assert (len(world["main"].asked), world["third"].asked) == (2, [])
    assert world.failed == [("main", "provider")]
    assert world.retried == 1
    assert world.said == ["second"]
    assert world.pool.describe() == "circuit open: main, second answers"


def test_an_open_circuit_is_passed_at_once_and_probed_by_exactly_one_call() -> None:
    world = World("second")
    world["main"].default = down()
    world.ask()
    assert world.state("main") is BreakerState.OPEN
    assert world.ask() == "second"
    assert len(world["main"].asked) == 2

    async def scene() -> list[str]:
        release = asyncio.Event()

        async def wait() -> str:
            await release.wait()
            return "back"

        world["main"].default = wait
        world.now += 31.0
        calls = [asyncio.create_task(world.call()) for _ in range(10)]
        _, running = await asyncio.wait(calls, timeout=1, return_when=asyncio.ALL_COMPLETED)
        assert len(running) == 1
        release.set()
        return sorted([(await each).model for each in calls])

    assert asyncio.run(scene()) == ["main", *["second"] * 9]
    assert len(world["main"].asked) == 3
    assert world.state("main") is BreakerState.CLOSED


def test_each_model_has_a_breaker_of_its_own() -> None:
    world = World("second")
    world["main"].default = world["second"].default = down()
    assert world.fail().model == "main"
    assert (world.state("main"), world.state("second")) == (BreakerState.OPEN, BreakerState.OPEN)
    world["second"].default = "second"
    assert world.fail().code == "circuit_open"
    world.now += 31.0
    world["main"].default = down()
    assert world.ask() == "second"
    assert (world.state("main"), world.state("second")) == (BreakerState.OPEN, BreakerState.CLOSED)


@pytest.mark.parametrize(
    ("error", "falls"),
    [
        (down(500), True),
        (down(429), True),
        (failures.timed_out("silence"), True),
        (failures.garbage("html"), True),
        (down(401), True),
        (down(402), True),
        (down(404), True),
        (down(413), False),
        (failures.refused(400, model="m", reason="content_filter", detail=""), False),
        (down(400), False),
        (failures.unsendable("surrogates"), False),
    ],
    ids=str,
)
def test_another_model_is_asked_where_it_may_do_better(error: CallError, *, falls: bool) -> None:
    world = World("second")
    world["main"].default = error
    if falls:
        assert world.ask() == "second"
    else:
        assert world.fail() is error
        assert world["second"].asked == []


def test_a_turn_stays_with_whom_it_has_come_to() -> None:
    world = World("second", "third")
    for model in world.models.values():
        model.tools = True
    world["main"].steps = [failures.garbage("html")]
    assert [world.ask("t1"), world.ask("t1")] == ["second", "second"]
    assert world.ask("t2") == "main", "another turn begins at the first"
    world["second"].steps = [failures.garbage("html")]
    assert world.ask("t1") == "third"
    world["third"].default = failures.garbage("html")
    assert world.fail("t1").model == "third"
    assert len(world["main"].asked) == 2


def test_the_end_of_a_turn_is_forgotten() -> None:
    world = World("second")
    world["main"].steps = [failures.garbage("html")]
    world["second"].tools = True
    assert world.ask("t1") == "second"
    world["second"].tools = False
    assert world.ask("t1") == "second"
    assert world.pool._turns == {}
    assert world.ask("t1") == "main"


def test_turns_are_remembered_up_to_a_limit() -> None:
    world = World("second")
    world["second"].tools = True

    async def scene() -> None:
        for number in range(5000):
            world["main"].steps = [failures.garbage("html")]
            world.now += 31.0
            await world.call(f"t{number}")

    asyncio.run(scene())
    assert len(world.pool._turns) == 4096


def test_half_an_answer_is_nobody_elses_to_end_and_the_next_attempt_begins_with_the_next() -> None:
    world = World("second")
    world["main"].steps = ["half|"]
    failure = world.fail("t1")
    assert (failure.code, failure.model) == ("stream_broken", "main")
    assert world.said == ["half"]
    assert world["second"].asked == []
    assert world.ask("t1") == "second"
    assert world.ask("t2") == "main"


def test_without_anybody_else_the_next_attempt_is_the_same_models() -> None:
    world = World()
    world["main"].steps = ["half|"]
    assert world.fail("t1").code == "stream_broken"
    assert world.ask("t1") == "main"


def test_where_all_fail_it_is_told_what_is_wrong_with_the_first() -> None:
    world = World("second")
    world["main"].default, world["second"].default = down(500), down(401)
    failure = world.fail()
    assert (failure.model, failure.text) == ("main", failures.OUT_OF_REACH)


def test_a_chosen_model_answers_or_nobody_does() -> None:
    world = World("second", choices=("fast",))
    assert world.ask(model="fast") == "fast"
    assert world["fast"].asked == ["fast-1"], "its provider is asked by the name that it knows"
    world["fast"].default = down(401)
    failure = world.fail(model="fast")
    assert failure.model == "fast"
    assert failure.text.startswith("The model fast: ")
    assert world["main"].asked == world["second"].asked == []
    assert world.pool.describe() == ""


def test_the_configured_models_own_name_is_no_choice() -> None:
    world = World("second", choices=("fast",))
    world["main"].default = failures.garbage("html")
    assert world.ask(model="main-1") == "second"


@pytest.mark.parametrize("name", ["slow", "", "x" * 1000, "a\nb"])
def test_an_unknown_model_is_said_to_be_one(name: str) -> None:
    failure = World(choices=("fast",)).fail(model=name)
    assert failure.code == "unknown_model"
    assert repr(name[:64]) in failure.text
    assert "main-1, fast" in failure.text


def test_where_any_model_will_do_each_has_a_breaker_and_few_are_kept() -> None:
    world = World(opens=True)

    async def scene() -> None:
        for number in range(100):
            assert (await world.call(model=f"m{number}")).model == f"m{number}"

    asyncio.run(scene())
    assert [name for name, model in world.models.items() if model.closed] == [f"m{n}" for n in range(36)]
    world["m99"].default = down()
    world.fail(model="m99")
    assert world.ask(model="m98") == "m98"
    assert world.fail(model="m99").code == "circuit_open"
    assert world.fail(model="a\nb").code == "unknown_model"


def test_a_call_that_is_cancelled_gives_its_place_back() -> None:
    world = World("second")

    async def scene() -> None:
        async def hang() -> str:
            await asyncio.get_running_loop().create_future()
            return ""

        world["main"].default = hang
        calls = [asyncio.create_task(world.call()) for _ in range(200)]
        async with asyncio.timeout(10):
            await until(lambda: len(world["main"].asked) == 200)
        waits: asyncio.Task[Any] = asyncio.create_task(world.call())
        async with asyncio.timeout(10):
            await until(lambda: world.places.waiting == 1)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        world["main"].default = "main"
        waits.cancel()
        await asyncio.wait([waits])
        assert (await world.call()).model == "main"
        assert world.places.waiting == 0

    asyncio.run(scene())
