"""What a session says to channels that have died, or have more to do than they can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.session_voice import Voice
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.channels.follow import Follow, Missed
from openclaw_actors.messages import (
    Accepted,
    AssistantChunk,
    Directory,
    MessageAccepted,
    ServiceRef,
    SessionEvents,
    StopOutcome,
    TurnStarted,
)

KEY = "websocket:local:main"
OLD, NEW = "old address", "new address"


class World:
    """The actor and its channels; `full` names the addresses whose queue takes nothing."""

    incarnation = 7

    def __init__(self) -> None:
        self.got: dict[str, list[Any]] = {OLD: [], NEW: [], "other": []}
        self.full: set[str] = set()
        self.due: list[Callable[[], None]] = []
        self.chunk: AssistantChunk | None = None
        self.directory = ServiceDirectory(directory(1, OLD))
        self.voice = Voice(
            cast(AsyncActor, self), KEY, self.directory, frozenset({"websocket", "http"}), lambda: self.chunk
        )

    def send(self, address: Any, message: Any) -> None:
        if address in self.full:
            self.voice.not_taken(address, message)
        else:
            self.got[address].append(message)

    def call_at_tick_end(self, fn: Callable[[], None]) -> None:
        self.due.append(fn)

    def call_later(self, _delay_s: float, fn: Callable[[], None]) -> None:
        self.due.append(fn)

    def go_on(self) -> None:
        due, self.due = self.due, []
        for fn in due:
            fn()


def directory(generation: int, websocket: str) -> Directory:
    def ref(address: str) -> ServiceRef:
        return ServiceRef(address=cast(Any, address), incarnation=generation, instance=address)

    return Directory(generation=generation, services={"websocket": ref(websocket), "http": ref("other")})


def started(seq: int) -> TurnStarted:
    return TurnStarted(seq=seq, turn_id="turn-m", message_id="m", attempt=1)


def receipt(name: str) -> Accepted:
    return Accepted(session=KEY, delivery_id=name, message_id=name)


def test_all_events_of_a_tick_go_to_each_follower_in_one_message() -> None:
    world = World()
    world.voice.publish((started(1),))
    world.voice.publish((started(2),))
    world.go_on()
    message = SessionEvents(session=KEY, incarnation=7, events=(started(1), started(2)))
    assert (world.got[OLD], world.got["other"]) == ([message], [message])


def test_a_receipt_that_a_dying_channel_did_not_take_goes_to_the_next_one() -> None:
    world = World()
    world.voice.tell("websocket", receipt("a"))
    world.voice.not_delivered(cast(Any, OLD), receipt("a"))
    world.directory.update(directory(2, NEW))
    world.voice.tell_again()
    world.voice.not_delivered(cast(Any, OLD), receipt("a"))  # told after the new address is known
    assert world.got[NEW] == [receipt("a"), receipt("a")]


def test_a_channel_whose_queue_was_full_sees_what_it_missed() -> None:
    world = World()
    follow = Follow(KEY, last_seq=0)
    world.voice.publish((started(1),))
    world.go_on()
    world.full = {OLD}
    world.voice.publish((MessageAccepted(seq=2, message_id="n", text="t", queued=1),))
    world.go_on()
    world.voice.publish((started(3),))
    world.chunk = AssistantChunk(turn_id="turn-m", attempt=1, offset=0, text="hello")
    world.go_on()  # there is no room yet
    world.full.clear()
    world.go_on()
    told = [event for message in world.got[OLD] for event in message.events]
    assert told == [started(1), started(3), world.chunk]
    assert [follow.take(event) for event in told][:2] == [started(1), Missed.EVENTS]
    assert len(world.got["other"]) == 3
    world.go_on()
    assert not world.due


def test_receipts_and_outcomes_that_found_no_room_are_told_later() -> None:
    world = World()
    world.full = {OLD}
    outcome = StopOutcome(session=KEY, stopped=1, channel="websocket", connection="c")
    world.voice.tell("websocket", receipt("a"))
    world.voice.tell("websocket", outcome)
    world.go_on()
    assert world.got[OLD] == []
    world.full.clear()
    world.go_on()
    assert world.got[OLD] == [receipt("a"), outcome]
