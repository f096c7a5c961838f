"""An actor works in this process, on its own loop and sockets, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Any

import pytest

from openclaw_actors.actorsystem import DEFAULT_LIMITS, Address, AsyncActor, handles
from openclaw_actors.actorsystem.rehearsal import RehearsalFailed, rehearse


class Open:
    def __init__(self, keeper: Address) -> None:
        self.keeper = keeper


class Opened:
    pass


class Say:
    def __init__(self, text: str) -> None:
        self.text = text


class Keep:
    def __init__(self, text: str) -> None:
        self.text = text


class Parrot(AsyncActor):
    """Repeats what it is told once a keeper has it."""

    @handles(Open)
    def open(self, message: Open, sender: Address) -> Opened:
        self.keeper = message.keeper
        return Opened()

    @handles(Say)
    async def say(self, message: Say, sender: Address) -> None:
        if message.text == "trouble":
            raise ValueError("it was told of trouble")
        kept = await self.ask(self.keeper, Keep(message.text), timeout_s=5.0)
        self.send(sender, Say(f"{message.text} ({kept})"))


class Play:
    """Tells the actor a few things, one after the other."""

    def __init__(self, *texts: str) -> None:
        self.over = False
        self.heard: list[str] = []
        self.kept: list[str] = []
        self._texts = list(texts)

    def first(self, stage: Address) -> Any:
        return Open(stage)

    def begin(self) -> Iterable[Any]:
        return [Say(self._texts.pop(0))]

    def asked(self, message: Any) -> Any:
        self.kept.append(message.text)
        return len(self.kept)

    def told(self, message: Any) -> Iterable[Any]:
        self.heard.append(message.text)
        self.over = not self._texts
        return [Say(self._texts.pop(0))] if self._texts else []


def perform(play: Play, run_dir: str, timeout_s: float = 10.0) -> None:
    rehearse(Parrot, play, run_dir=run_dir, limits=DEFAULT_LIMITS, timeout_s=timeout_s)


def test_the_actor_answers_asks_and_tells_until_it_is_over(run_dir: str) -> None:
    play = Play("hello", "bye")
    perform(play, run_dir)

    assert play.kept == ["hello", "bye"]
    assert play.heard == ["hello (1)", "bye (2)"]


def test_nothing_is_left_of_it(run_dir: str) -> None:
    perform(Play("hello"), run_dir)
    descriptors = os.listdir("/proc/self/fd")
    perform(Play("hello"), run_dir)

    assert os.listdir("/proc/self/fd") == descriptors
    assert os.listdir(run_dir) == []


def test_a_loop_that_runs_goes_on_and_stays_the_one_of_its_thread(run_dir: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        perform(Play("hello"), run_dir)
        assert asyncio.get_running_loop() is loop
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
        await asyncio.sleep(0)

    asyncio.run(main())


def test_a_crash_is_an_exception_and_not_the_end_of_this_process(run_dir: str) -> None:
    with pytest.raises(RehearsalFailed, match="ValueError"):
        perform(Play("trouble"), run_dir)
    assert os.listdir(run_dir) == []


def test_what_takes_too_long_is_given_up(run_dir: str) -> None:
    class Silence(Play):
        def begin(self) -> Iterable[Any]:
            return []

    with pytest.raises(RehearsalFailed, match="not over"):
        perform(Silence(), run_dir, timeout_s=0.05)
    assert os.listdir(run_dir) == []
