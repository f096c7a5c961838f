"""The model's actor alone in its process: what becomes of its calls when those who asked change their minds."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import msgspec

from openclaw_actors import config
from openclaw_actors.actors import board
from openclaw_actors.actors.model import ModelActor
from openclaw_actors.actorsystem import Address, AsyncActor, handles
from openclaw_actors.messages import (
    CallFailed,
    CancelCall,
    ChatMessage,
    Complete,
    Completed,
    Directory,
    Init,
    InitFailed,
    Message,
    ModelDelta,
    Ping,
    Pong,
    Ready,
)
from tests.system.actorsystem.stage import eventually, on_stage
from tests.system.proc import is_alive

__all__: list[str] = []


class Send(Message):
    """Send these to the model."""

    model: Address
    messages: tuple[Any, ...]


class Answers(Message):
    """Asks for everything that the model answered, and for the pid."""


class Asker(AsyncActor):
    """Stands in for a session."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Any] = []

    @handles(Send)
    def say(self, message: Send, sender: Address) -> None:
        for each in message.messages:
            self.send(message.model, each)

    @handles(ModelDelta, Completed, CallFailed)
    def note(self, message: Message, sender: Address) -> None:
        self.answers.append(message)

    @handles(Answers)
    def tell(self, message: Answers, sender: Address) -> Any:
        return os.getpid(), tuple(self.answers)


def question(text: str, call_id: str = "t/1/1") -> Complete:
    message = ChatMessage(role="user", text=text)
    return Complete(call_id=call_id, session="s", correlation_id="k", messages=(message,))


class Scene:
    """A model's actor, started, and one who asks."""

    def __init__(self, system: Any) -> None:
        self.system = system
        self.model: Address
        self.asker: Address

    async def start(
        self, *messages: Any, secrets: dict[str, str] | None = None, **llm: Any
    ) -> Ready | InitFailed:
        """Sets the actor up; `messages` come before."""
        self.model = await self.system.create(ModelActor)
        self.asker = await self.system.create(Asker)
        if messages:
            self.say(*messages)
            await self.answers()
        settings = msgspec.convert({"llm": {"demo_faults": True, **llm}}, config.GatewayConfig)
        init = Init(
            name="model",
            incarnation=1,
            instance="i",
            settings=config.encode(settings),
            directory=Directory(generation=1, services={}),
            secrets=secrets or {},
        )
        answer: Ready | InitFailed = await self.ask(self.model, init)
        return answer

    async def ask(self, address: Address, message: Any) -> Any:
        return await self.system.endpoint.ask(address, message, timeout_s=30.0)

    def say(self, *messages: Any) -> None:
        self.system.endpoint.send(self.asker, Send(model=self.model, messages=messages))

    async def answers(self) -> tuple[Any, ...]:
        answers: tuple[Any, ...] = (await self.ask(self.asker, Answers()))[1]
        return answers

    async def doing(self, wanted: str) -> Pong:
        pong: Pong

        async def is_so() -> bool:
            nonlocal pong
            pong = await self.ask(self.model, Ping())
            return pong.doing == wanted

        await eventually(is_so, timeout_s=30.0)
        return pong


def test_a_call_that_is_cancelled_before_it_began_is_over() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        scene = Scene(system)
        await scene.start()
        for number in range(20):
            scene.say(question("/demo hang", f"{number}"), CancelCall(call_id=f"{number}"))
        scene.say(question("hello", "last"))

        async def answered() -> bool:
            return any(isinstance(each, Completed) for each in await scene.answers())

        await eventually(answered, timeout_s=30.0)
        await scene.doing("idle")

    on_stage(play)


def test_a_call_that_comes_before_the_actor_is_set_up_waits_for_it() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        scene = Scene(system)
        assert isinstance(await scene.start(question("hello")), Ready)

        async def answered() -> bool:
            return any(isinstance(each, Completed) for each in await scene.answers())

        await eventually(answered, timeout_s=30.0)

    on_stage(play)


def test_a_call_is_begun_once() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        scene = Scene(system)
        await scene.start()
        scene.say(question("/demo hang"), question("/demo hang"), question("/demo hang", "t/1/2"))
        await scene.doing("2 calls")

    on_stage(play)


def test_the_calls_of_one_who_died_end() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        scene = Scene(system)
        await scene.start()
        scene.say(question("/demo hang"))
        await scene.doing("1 calls")
        pid, _ = await scene.ask(scene.asker, Answers())
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not is_alive(pid))
        await scene.doing("idle")
        assert counted.values()['llm_calls_total{result="cancelled"}'] == 1

    counted = board.install()  # before the fork
    on_stage(play)


def test_a_streamed_call_that_fails_says_what_it_used() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        scene = Scene(system)
        await scene.start(timeout_seconds=1)
        scene.say(question("/demo slow 60"))

        async def failed() -> bool:
            return any(isinstance(each, CallFailed) for each in await scene.answers())

        await eventually(failed, timeout_s=30.0)
        *pieces, failure = await scene.answers()
        assert "".join(piece.text for piece in pieces).startswith("1 2 3")
        assert (failure.code, failure.streamed) == ("timeout", True)
        assert failure.usage.input_tokens == 4
        assert failure.usage.output_tokens >= 1
        assert counted.values()['llm_tokens_total{direction="input"}'] == 4

    counted = board.install()  # before the fork
    on_stage(play)


def test_a_key_that_does_not_resolve_is_refused_by_its_name_and_reference() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        for reference, shown in (("file:/gone", "file:/gone"), ("vault:/gone:env:KEY", "env:KEY")):
            answer = await Scene(system).start(secrets={"llm.api_key": reference})
            assert isinstance(answer, InitFailed)
            assert answer.code == "configuration"
            said = f"llm.api_key must be a reference that resolves (got {shown}); "
            assert answer.reason.startswith(said)

    on_stage(play)


def test_settings_that_name_no_provider_are_refused() -> None:
    async def play(system: Any, _puppet: Any) -> None:
        answer = await Scene(system).start(provider="openai")
        assert isinstance(answer, InitFailed)
        assert answer.code == "configuration"
        assert "llm.api_key" in answer.reason
        await asyncio.sleep(0)

    on_stage(play)
