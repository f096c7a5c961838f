"""Calls of the model without a session: one answer each, through the deaths of the model's actor, within bounds."""

from __future__ import annotations

from openclaw_actors.channels.backlog import MAX_BACKLOG_BYTES
from openclaw_actors.channels.calls import Call, Calls, Said
from openclaw_actors.messages import (
    CallFailed,
    CancelCall,
    ChatMessage,
    Complete,
    Completed,
    ModelDelta,
    Usage,
)

__all__: list[str] = []


class World:
    """The calls, a model's actor that may be gone, and one reader."""

    def __init__(self) -> None:
        self.present = True
        self.sent: list[Complete | CancelCall] = []
        self.calls = Calls(self.send, wait_s=10.0)
        request = Complete(
            call_id="c", session="s", correlation_id="k", messages=(ChatMessage(role="user", text="hi"),)
        )
        self.woken = 0
        self.call = Call(request, self.wake)

    def send(self, message: Complete | CancelCall) -> bool:
        if self.present:
            self.sent.append(message)
        return self.present

    def wake(self) -> None:
        self.woken += 1

    def read(self) -> list[Said]:
        return [self.call.pop() for _ in range(len(self.call))]


def delta(text: str, call_id: str = "c") -> ModelDelta:
    return ModelDelta(call_id=call_id, text=text)


DONE = Completed(call_id="c", text="hello", usage=Usage())


def test_an_answer_is_read_in_order_and_its_call_is_over() -> None:
    world = World()
    world.calls.begin(world.call, 0.0)
    for said in (delta("hel"), delta(""), delta("x", call_id="other"), delta("lo"), DONE):
        world.calls.said(said)
    assert world.read() == [delta("hel"), delta("lo"), DONE]
    world.calls.end(world.call)
    assert len(world.calls) == 0
    assert [type(message) for message in world.sent] == [Complete]


def test_a_reader_that_leaves_cancels_its_call() -> None:
    world = World()
    world.calls.begin(world.call, 0.0)
    world.calls.end(world.call)
    assert world.sent[-1] == CancelCall(call_id="c")


def test_a_new_model_is_asked_for_what_has_not_begun() -> None:
    world = World()
    world.present = False
    world.calls.begin(world.call, 0.0)
    world.present = True
    world.calls.model_replaced(5.0)
    world.calls.tick(100.0)
    assert [type(message) for message in world.sent] == [Complete]
    assert world.read() == []


def test_what_has_begun_ends_with_the_model_that_said_it() -> None:
    world = World()
    world.calls.begin(world.call, 0.0)
    world.calls.said(delta("hel"))
    world.calls.model_replaced(1.0)
    *_, end = world.read()
    assert isinstance(end, CallFailed)
    assert (end.code, end.streamed) == ("stream_broken", True)


def test_nobody_is_waited_for_for_ever() -> None:
    world = World()
    world.calls.begin(world.call, 0.0)
    world.present = False
    world.calls.model_replaced(1.0)
    world.calls.model_replaced(5.0)
    world.calls.tick(10.9)
    assert world.read() == []
    world.calls.tick(11.0)
    (end,) = world.read()
    assert isinstance(end, CallFailed)
    assert end.code == "unavailable"


def test_a_call_that_cannot_be_handed_over_fails_at_once() -> None:
    for too_large, code in ((False, "overloaded"), (True, "too_large")):
        world = World()
        world.calls.begin(world.call, 0.0)
        world.calls.not_sent("c", too_large=too_large)
        (end,) = world.read()
        assert isinstance(end, CallFailed)
        assert end.code == code


def test_a_reader_that_does_not_read_is_cut_off() -> None:
    world = World()
    world.calls.begin(world.call, 0.0)
    piece = "x" * 100_000
    for _ in range(MAX_BACKLOG_BYTES // len(piece) + 3):
        world.calls.said(delta(piece))
    assert world.call.cut_off
    assert len(world.call) == 0
    world.calls.end(world.call)
    assert world.sent[-1] == CancelCall(call_id="c")


def test_at_the_end_everybody_is_told() -> None:
    world = World()
    world.calls.begin(world.call, 0.0)
    world.calls.shut_down()
    (end,) = world.read()
    assert isinstance(end, CallFailed)
    assert end.code == "draining"
