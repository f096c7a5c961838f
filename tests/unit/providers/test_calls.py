"""A call takes a place, asks the breaker, and is repeated while that can help."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from openclaw_actors.core.breaker import BreakerState, CircuitBreaker
from openclaw_actors.core.retry import RetryPolicy
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import Complete
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, CallError, OnDelta
from openclaw_actors.providers.calls import Caller, CallLimits

__all__: list[str] = []

REQUEST = Complete(call_id="c", session="s", correlation_id="k", messages=())
FINE = Answer(text="fine", usage=Usage())

Attempt = Callable[[OnDelta], Awaitable[Answer]]


async def answer(on_delta: OnDelta) -> Answer:
    on_delta("fine")
    return FINE


async def hang(on_delta: OnDelta) -> Answer:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


def failing(error: CallError, *said: str) -> Attempt:
    async def attempt(on_delta: OnDelta) -> Answer:
        for text in said:
            on_delta(text)
        raise error

    return attempt


class Scripted:
    """A provider whose attempts end as they are told to."""

    def __init__(self, *attempts: Attempt) -> None:
        self.attempts = list(attempts)
        self.made = 0

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        self.made += 1
        return await (self.attempts.pop(0) if self.attempts else answer)(on_delta)

    async def close(self) -> None:
        """Nothing is open."""


class World:
    """A caller with its provider, a clock that only sleeping moves, and what was slept."""

    def __init__(
        self, *attempts: Attempt, threshold: int = 5, retries: int = 3, limits: CallLimits | None = None
    ) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.provider = Scripted(*attempts)
        self.caller = Caller(
            self.provider,
            breaker=CircuitBreaker(threshold=threshold, cooldown_s=30.0),
            retries=RetryPolicy(retries=retries, backoff_s=1.0, jitter=0.0),
            limits=limits or CallLimits(),
            clock=lambda: self.now,
            sleep=self.sleep,
            random_source=random.Random(1),
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def call(self) -> Answer:
        return await self.caller.complete(REQUEST, lambda text: None)

    def fails(self) -> CallError:
        with pytest.raises(CallError) as failure:
            asyncio.run(self.call())
        return failure.value


LOST = failures.connection_failed("lost")


def test_a_failed_attempt_is_repeated_after_growing_waits() -> None:
    world = World(failing(LOST), failing(LOST))

    assert asyncio.run(world.call()) == FINE
    assert world.slept == [1.0, 2.0]
    assert world.caller.retried == 2


def test_attempts_come_to_an_end() -> None:
    world = World(*[failing(LOST)] * 9, threshold=100)

    assert world.fails() is LOST
    assert world.provider.made == 4


def test_what_was_passed_on_is_not_repeated() -> None:
    world = World(failing(LOST, "half"))

    assert world.fails().code == "stream_broken"
    assert world.provider.made == 1
    assert world.caller.breaker.failures == 1


def test_what_must_fail_again_says_what_it_is_though_something_was_passed_on() -> None:
    world = World(failing(failures.too_large("d"), "half"))

    assert world.fails().code == "provider"


def test_what_cannot_be_mended_by_repetition_is_not_repeated() -> None:
    world = World(failing(failures.misconfigured("t", "d")))

    assert world.fails().code == "configuration"
    assert world.provider.made == 1
    assert world.caller.breaker.failures == 0


def test_a_pause_that_ends_after_the_deadline_is_not_begun() -> None:
    busy = failures.refused(429, model="m", reason="", detail="d", retry_after_s=50.0)
    world = World(failing(busy), failing(busy), limits=CallLimits(timeout_s=60.0))

    assert world.fails() is busy
    assert len(world.slept) == 1
    assert world.now < 60.0


def test_a_retry_stops_where_the_breaker_has_opened() -> None:
    world = World(*[failing(LOST)] * 9, threshold=2)

    assert world.fails().code == "circuit_open"
    assert world.provider.made == 2
    assert world.caller.breaker.state is BreakerState.OPEN


def test_an_open_breaker_is_not_waited_for() -> None:
    world = World(*[failing(LOST)] * 2, threshold=2, retries=0)
    world.fails()
    world.fails()

    failure = world.fails()

    assert (failure.code, failure.retry_after_s) == ("circuit_open", 30.0)
    assert world.slept == []


@pytest.mark.parametrize("after", ["silence", "words"])
def test_the_deadline_is_that_of_the_whole_call(after: str) -> None:
    async def say_and_hang(on_delta: OnDelta) -> Answer:
        on_delta("half")
        return await hang(on_delta)

    world = World(hang if after == "silence" else say_and_hang, limits=CallLimits(timeout_s=0.05))

    assert world.fails().code == "timeout"
    assert world.provider.made == 1
    assert world.caller.breaker.failures == 1


def test_a_cancelled_call_gives_its_place_back_and_blames_nobody() -> None:
    async def scene() -> None:
        world = World(hang, threshold=1, limits=CallLimits(concurrent=1))
        task = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await world.call() == FINE
        assert world.caller.breaker.state is BreakerState.CLOSED

    asyncio.run(scene())


def test_a_cancelled_wait_for_a_place_takes_none() -> None:
    async def scene() -> None:
        world = World(hang, limits=CallLimits(concurrent=1, waiting=1))
        running = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        for _ in range(3):
            waiting = asyncio.create_task(world.call())
            await asyncio.sleep(0)
            assert world.caller.waiting == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert world.caller.waiting == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await world.call() == FINE

    asyncio.run(scene())


def test_who_finds_no_place_is_told_so() -> None:
    async def scene() -> None:
        world = World(hang, limits=CallLimits(concurrent=1, waiting=1, timeout_s=0.2))
        running = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        waiting = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        with pytest.raises(CallError, match="overloaded: 1 calls wait"):
            await world.call()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await waiting == FINE

    asyncio.run(scene())


def test_a_wait_for_a_place_has_an_end() -> None:
    async def scene() -> None:
        world = World(hang, limits=CallLimits(concurrent=1, waiting=1, timeout_s=0.05))
        await world.caller._places.__aenter__()
        with pytest.raises(CallError, match="overloaded: no place"):
            await world.call()
        assert world.provider.made == 0

    asyncio.run(scene())
