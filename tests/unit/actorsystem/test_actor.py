"""What an actor does with a message, without its process: handlers, answers, refusals, crashes, the stash."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from openclaw_actors.actorsystem import ActorFailed, AsyncActor, Later, actor, handles
from openclaw_actors.actorsystem.framing import Kind
from openclaw_actors.errors import AskRefused, FrameTooLarge

ANSWER_LIMIT = 100


class Init(msgspec.Struct, frozen=True):
    """Sets the actor up, if it can be."""

    works: bool = True


class Note(msgspec.Struct, frozen=True):
    text: str
    message_id: str = ""


class Louder(Note, frozen=True):
    """Has no handler of its own."""


class Refuse(msgspec.Struct, frozen=True):
    """Is refused at once."""


class Do(msgspec.Struct, frozen=True):
    what: str


class Follow(msgspec.Struct, frozen=True):
    """Is answered when the actor's future is done."""


class Crashed(BaseException):
    """The process would be gone."""


@dataclass
class Transport:
    """Takes answers; sends nothing."""

    loop: asyncio.AbstractEventLoop
    mailbox_depth: int = 0
    takes: bool = True
    answers: list[tuple[int, int, Any]] = field(default_factory=list)

    def encode(self, value: Any) -> bytes:
        data = msgspec.msgpack.encode(value)
        if len(data) > ANSWER_LIMIT:
            raise FrameTooLarge(len(data), ANSWER_LIMIT)
        return data

    def answer(self, _asker: Any, ask_id: int, kind: int, payload: bytes) -> None:
        value = msgspec.msgpack.decode(payload) if kind == Kind.ANSWER else pickle.loads(payload).code
        self.answers.append((ask_id, kind, value))

    def send(self, _target: Any, _message: Any) -> bool:
        return self.takes


@dataclass
class Runtime:
    transport: Transport
    failures: list[ActorFailed] = field(default_factory=list)

    def crash(self, failed: ActorFailed) -> None:
        self.failures.append(failed)
        raise Crashed


class Actor(AsyncActor):
    """Does as it is told."""

    myAddress = None  # noqa: N815 - Thespian's name

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []
        self.overflowed: list[Any] = []
        self.gate = asyncio.Event()
        self.future: asyncio.Future[str]

    @handles(Follow)
    def follow(self, message: Follow, sender: Any) -> Later:
        return Later(self.future, lambda done: f"{done.result()}!")

    @handles(Note)
    def note(self, message: Note, sender: Any) -> str:
        self.noted.append(message.text)
        if message.text == "break":
            raise ZeroDivisionError
        return message.text

    @handles(Refuse)
    def refuse(self, message: Refuse, sender: Any) -> None:
        raise AskRefused("not_now", "later")

    @handles(Do)
    async def do(self, message: Do, sender: Any) -> Any:
        match message.what:
            case "wait":
                await self.gate.wait()
            case "refuse":
                await asyncio.sleep(0)
                raise AskRefused("not_now", "later")
            case "much":
                return "x" * ANSWER_LIMIT
        return message.what

    def on_overflow(self, address: Any, message: Any) -> None:
        self.overflowed.append(message)
        self.send(address, message)


class Stasher(Actor):
    """Handles nothing before its `Init`."""

    first_message = Init

    @handles(Init)
    def init(self, message: Init, sender: Any) -> bool:
        self.noted.append("init")
        if message.works:
            self.unstash()
        return message.works


def started(kind: type[Actor] = Actor) -> tuple[Any, Transport, Runtime]:
    transport = Transport(asyncio.get_running_loop())
    runtime = Runtime(transport)
    it: Any = kind()
    it._start(runtime)
    return it, transport, runtime


async def enter(it: Any, message: Any, ask_id: int) -> None:
    """Has it handled as the transport does: from a callback of the loop, not from a task."""
    it.loop.call_soon(it._enter, message, None, ask_id)
    await asyncio.sleep(0)


async def idle(it: Any) -> None:
    """Returns when no handler runs any more."""
    await idle_but(it, 0)


async def idle_but(it: Any, count: int) -> None:
    """Returns when only so many messages wait."""
    await asyncio.sleep(0)
    while it.mailbox_depth != count:  # noqa: ASYNC110 - ticks of the loop are what is waited for
        await asyncio.sleep(0)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 10))


def test_a_handler_takes_subclasses_of_its_message_and_its_value_is_the_answer() -> None:
    async def scene() -> None:
        it, transport, _ = started()
        it._enter(Louder("a"), None, 1)
        it._enter(Note("b"), None, 0)
        assert it.noted == ["a", "b"]
        assert transport.answers == [(1, Kind.ANSWER, "a")]

    run(scene())


def test_a_message_without_a_handler_is_refused_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        it, transport, _ = started()
        for ask_id in (0, 7, 8):
            it._enter(3.5, None, ask_id)
        assert transport.answers == [(7, Kind.REFUSAL, "unknown"), (8, Kind.REFUSAL, "unknown")]
        assert len([each for each in caplog.records if "no handler" in each.message]) == 1

    run(scene())


def test_an_async_handler_answers_when_it_ends_and_others_enter_meanwhile() -> None:
    async def scene() -> None:
        it, transport, _ = started()
        await enter(it, Do("wait"), 1)
        it._enter(Note("b"), None, 2)
        assert it.mailbox_depth == 1
        it.gate.set()
        await idle(it)
        assert [each[0] for each in transport.answers] == [2, 1]

    run(scene())


def test_an_answer_may_follow_a_future_without_a_task() -> None:
    async def scene() -> None:
        it, transport, runtime = started()
        done: list[asyncio.Future[str]] = []
        for outcome in ("good", AskRefused("not_now"), ValueError("broken")):
            it.future = asyncio.get_running_loop().create_future()
            done.append(it.future)
            it._enter(Follow(), None, len(done))
            assert it.mailbox_depth == 1
            if isinstance(outcome, str):
                it.future.set_result(outcome)
            else:
                it.future.set_exception(outcome)
            await idle(it)
        assert transport.answers == [(1, Kind.ANSWER, "good!"), (2, Kind.REFUSAL, "not_now")]
        assert len(runtime.failures) == 1

    run(scene())


def test_a_refusal_is_an_answer_to_an_ask_and_a_crash_without_one() -> None:
    async def scene() -> None:
        it, transport, runtime = started()
        await enter(it, Do("refuse"), 1)
        await idle(it)
        assert transport.answers == [(1, Kind.REFUSAL, "not_now")]
        assert runtime.failures == []
        with pytest.raises(Crashed):
            it._enter(Refuse(), None, 0)
        assert [failed.reason.split()[0] for failed in runtime.failures] == ["AskRefused"]

    run(scene())


def test_an_answer_over_the_limit_is_a_refusal() -> None:
    async def scene() -> None:
        it, transport, _ = started()
        await enter(it, Do("much"), 1)
        await idle(it)
        assert transport.answers == [(1, Kind.REFUSAL, "too_large")]

    run(scene())


def test_an_exception_in_a_handler_names_the_message_and_where_it_broke() -> None:
    async def scene() -> None:
        it, _, runtime = started()
        it.incarnation = 3
        with pytest.raises(Crashed):
            it._enter(Note("break", message_id="m1"), None, 1)
        (failed,) = runtime.failures
        assert (failed.incarnation, failed.message_id) == (3, "m1")
        assert failed.reason.startswith("ZeroDivisionError at test_actor.py:")

    run(scene())


def test_who_is_told_of_an_overflow_may_send_again_without_end() -> None:
    async def scene() -> None:
        it, transport, _ = started()
        transport.takes = False
        it.send(None, Note("a"))
        it.send(None, Note("b"))
        assert it.overflowed == [Note("a"), Note("b")]

    run(scene())


def test_what_comes_before_the_first_message_waits_in_its_order() -> None:
    async def scene() -> None:
        it, transport, _ = started(Stasher)
        it._enter(Note("a"), None, 1)
        it._enter(Note("b"), None, 0)
        assert (it.noted, transport.answers, it.mailbox_depth) == ([], [], 2)
        it._enter(Init(), None, 2)
        it._enter(Note("c"), None, 0)
        await idle(it)
        assert it.noted == ["init", "a", "b", "c"]
        assert transport.answers == [(2, Kind.ANSWER, True), (1, Kind.ANSWER, "a")]

    run(scene())


def test_an_actor_that_cannot_be_set_up_answers_nobody() -> None:
    async def scene() -> None:
        it, transport, _ = started(Stasher)
        it._enter(Note("a"), None, 1)
        it._enter(Init(works=False), None, 2)
        it._enter(Note("b"), None, 3)
        await asyncio.sleep(0)
        assert it.noted == ["init"]
        assert transport.answers == [(2, Kind.ANSWER, False)]

    run(scene())


def test_an_actor_that_is_set_up_may_let_some_messages_in_before_the_others() -> None:
    async def scene() -> None:
        it, transport, _ = started(Stasher)
        it._enter(Note("a"), None, 1)
        it._enter(Do("ping"), None, 2)
        it.unstash(only=(Do,))
        await idle_but(it, 1)
        it._enter(Note("b"), None, 3)
        await enter(it, Do("pong"), 4)
        await idle_but(it, 2)
        assert transport.answers == [(2, Kind.ANSWER, "ping"), (4, Kind.ANSWER, "pong")]
        it.unstash()
        await idle(it)
        assert it.noted == ["a", "b"]

    run(scene())


def test_more_than_may_be_stashed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "_MAX_STASHED", 2)

    async def scene() -> None:
        it, transport, _ = started(Stasher)
        for number in range(3):
            it._enter(Note(f"{number}"), None, number + 1)
        it._enter(Note("dropped"), None, 0)
        assert transport.answers == [(3, Kind.REFUSAL, "busy")]
        it._enter(Init(), None, 0)
        await idle(it)
        assert it.noted == ["init", "0", "1"]

    run(scene())
