"""Messages on their way: held, handed over in order, given back in time, told once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.channels.hold import Hold
from openclaw_actors.messages import (
    Deliver,
    EndSession,
    MessageAccepted,
    Refused,
    Replay,
    StopOutcome,
    StopTurn,
    TurnDone,
    Unfollow,
    Usage,
)
from tests.unit.channels.world import Journal, World


def deliver(number: int, session: str = "s", size: int = 1) -> Deliver:
    return Deliver(
        session=session,
        delivery_id=f"d{number}",
        message_id=f"m{number}",
        text="x" * size,
        channel="websocket",
        received_at=0.0,
        correlation_id=f"d{number}",
    )


@given(st.lists(st.tuples(st.sampled_from(["put", "release", "wait"]), st.integers(0, 9))))
def test_what_is_held_keeps_its_order(steps: list[tuple[str, int]]) -> None:
    hold, now, expected = Hold(max_per_session=1_000, timeout_s=10.0), 0.0, {}
    for number, (what, which) in enumerate(steps):
        if what == "put":
            assert hold.put(deliver(number), "c", now) is not None
            expected[f"d{number}"] = now + 10.0
        elif what == "release" and expected:
            chosen = list(expected)[which % len(expected)]
            assert hold.release(chosen) is not None
            assert hold.release(chosen) is None
            del expected[chosen]
        elif what == "wait":
            now += which
            late = [held.deliver.delivery_id for held in hold.expired(now)]
            assert late == [key for key, deadline in expected.items() if deadline <= now]
            expected = {key: deadline for key, deadline in expected.items() if deadline > now}
    assert [held.deliver.delivery_id for held in hold] == list(expected)
    assert len(hold) == len(expected)


def test_what_is_held_is_bounded_by_bytes_and_by_session() -> None:
    hold = Hold(max_per_session=2, timeout_s=10.0, max_bytes=10_000)
    assert hold.put(deliver(1), "c", 0.0)
    assert hold.put(deliver(2), "c", 0.0)
    assert hold.put(deliver(3), "c", 0.0) is None
    assert hold.put(deliver(4, "other", size=20_000), "c", 0.0) is None
    hold.release("d1")
    assert hold.put(deliver(5), "c", 0.0)


def test_without_a_router_messages_wait_and_go_in_order() -> None:
    world = World(router=False)
    world.connect()
    for number in range(3):
        world.send("x", f"m{number}")
    assert world.routed == []
    world.core.router_replaced(world.now)
    world.send("x", "m3")
    assert [message.message_id for message in world.of(Deliver)] == ["m0", "m1", "m2", "m3"]
    assert [message.session for message in world.of(Replay)] == ["websocket:local:s"]


def test_each_new_router_gets_what_is_still_held_before_anything_new() -> None:
    world = World()
    world.connect()
    for number in range(3):
        world.send("x", f"m{number}")
    first = world.take(Deliver)
    Journal(world).accept(first[1])
    world.core.router_lost()
    world.send("x", "m3")
    assert world.take(Deliver) == []
    world.core.router_replaced(world.now)
    again = world.take(Deliver)
    assert [message.message_id for message in again] == ["m0", "m2", "m3"]
    assert again[:2] == [first[0], first[2]]


def test_after_the_deadline_the_sender_is_told_and_the_message_is_let_go() -> None:
    world = World(accept_timeout_s=10.0)
    client = world.connect()
    world.send("x", "m")
    world.now += 9.9
    world.core.tick(world.now)
    assert client.frames == []
    world.now += 0.2
    world.core.tick(world.now)
    (error,) = client.events
    assert (error["type"], error["code"], error["messageId"]) == ("error", "not_accepted", "m")
    world.core.router_replaced(world.now)
    assert len(world.take(Deliver)) == 1
    Journal(world).accept(deliver(1))  # a late receipt of what is not held any more
    assert len(client.frames) == 1


def test_a_refusal_reaches_its_sender_alone() -> None:
    world = World()
    sender, other = world.connect("a"), world.connect("b")
    world.resume(None, "b")
    world.send("x", "m", "a")
    (message,) = world.of(Deliver)
    refusal = Refused(
        session=message.session,
        delivery_id=message.delivery_id,
        message_id="m",
        code="budget",
        text="No more.",
    )
    world.core.refused(refusal)
    world.core.refused(refusal)
    assert sender.events == [
        {"type": "error", "code": "budget", "text": "No more.", "messageId": "m", "sessionId": "s"}
    ]
    assert other.events == []


def test_a_second_try_of_ours_is_not_told_as_a_repetition() -> None:
    """The router died after the session had taken the message: its events come by the replay, and only there."""
    world = World()
    client = world.connect()
    journal = Journal(world)
    world.resume(0)
    journal.settle()
    world.send("x", "m")
    (message,) = world.take(Deliver)
    journal.accepted("m")
    journal.wire.clear()
    world.core.router_replaced(world.now)
    (message,) = world.take(Deliver)
    journal.settle()
    receipt = journal.events[0]
    assert isinstance(receipt, MessageAccepted)
    journal.accept(message, duplicate=receipt)
    assert [event["type"] for event in client.events] == ["message_accepted"]
    assert "duplicate" not in client.events[0]


def test_a_first_message_whose_receipt_was_lost_is_told_after_all() -> None:
    """The client never heard of the session: neither live nor by a replay does it learn what became of its message."""
    world = World()
    client = world.connect()
    journal = Journal(world)
    world.send("x", "m")
    world.take(Deliver)
    world.take(Replay)
    journal.accepted("m")
    journal.done("m")
    journal.wire.clear()
    world.core.router_replaced(world.now)
    (message,) = world.take(Deliver)
    receipt, done = journal.events
    assert isinstance(receipt, MessageAccepted)
    assert isinstance(done, TurnDone)
    journal.accept(message, duplicate=receipt, turn_done=done)
    journal.settle()
    assert [event["type"] for event in client.events] == ["message_accepted", "turn_done"]


def test_a_repetition_by_the_client_is_told_to_it_alone() -> None:
    world = World()
    first, second = world.connect("a"), world.connect("b")
    journal = Journal(world)
    world.resume(0, "a")
    journal.settle()
    journal.accepted("m")
    journal.done("m")
    journal.settle()
    world.send("x", "m", "b")
    journal.settle()
    (message,) = world.of(Deliver)
    receipt, done = journal.events
    assert isinstance(receipt, MessageAccepted)
    assert isinstance(done, TurnDone)
    before = list(first.frames)
    journal.accept(message, duplicate=receipt, turn_done=done)
    assert first.frames == before
    assert [(event["type"], event["seq"]) for event in second.events] == [
        ("message_accepted", 1),
        ("turn_done", 2),
    ]
    assert second.events[0]["duplicate"] is True


def test_a_stop_is_told_to_each_router_until_its_outcome_is_known() -> None:
    world = World(accept_timeout_s=10.0)
    world.connect()
    world.say({"type": "stop", "sessionId": "s", "queue": True})
    assert len(world.take(StopTurn)) == 1
    world.core.router_replaced(world.now)
    (stop,) = world.take(StopTurn)
    assert stop.queue
    world.core.stop_outcome(StopOutcome(session=stop.session, stopped=1, connection=stop.connection))
    world.core.router_replaced(world.now)
    assert world.take(StopTurn) == []
    world.say({"type": "stop", "sessionId": "s"})
    world.now += 11
    world.core.tick(world.now)
    world.take(StopTurn)
    world.core.router_replaced(world.now)
    assert world.take(StopTurn) == []


def test_a_disconnect_ends_nothing_but_what_was_the_connections_own() -> None:
    world = World()
    world.connect("named")
    world.connect("own", v2=False)
    world.send("x", "m", "named")
    world.say("hello", "own")
    assert [message.bound_to for message in world.of(Deliver)] == [None, "i1"]
    world.core.closed("named")
    world.core.closed("own")
    world.core.closed("own")
    assert [message.session for message in world.of(Unfollow)] == ["websocket:local:s"]
    assert [message.session for message in world.of(EndSession)] == ["websocket:local:own"]
    assert world.of(StopTurn) == []
    world.take(Deliver)
    world.core.router_replaced(world.now)
    assert [message.message_id for message in world.of(Deliver)] == ["m"]


def test_a_stop_that_nobody_carries_out_is_given_back() -> None:
    world = World(router=False, accept_timeout_s=10.0)
    client = world.connect()
    world.say({"type": "stop", "sessionId": "s"})
    world.now += 10.1
    world.core.tick(world.now)
    (error,) = client.events
    assert (error["code"], error["sessionId"], "messageId" in error) == ("not_accepted", "s", False)
    world.core.router_replaced(world.now)
    assert world.take(StopTurn) == []


def test_a_stop_of_all_is_not_forgotten_for_a_stop_of_one() -> None:
    world = World(router=False)
    world.connect()
    world.say({"type": "stop", "sessionId": "s", "queue": True})
    world.say({"type": "stop", "sessionId": "s"})
    world.core.router_replaced(world.now)
    assert [stop.queue for stop in world.take(StopTurn)] == [True]


def test_at_the_end_whoever_still_waits_is_told_once() -> None:
    """What was not taken is refused; what was taken goes on without this connection."""
    world = World()
    clients = {name: world.connect(name, v2=name == "v2") for name in ("v2", "raw", "enveloped")}
    for name in ("raw", "enveloped"):
        world.say(
            json.dumps({"type": "user_message", "text": "taken", "messageId": "a"}) if name != "raw" else "x",
            name,
        )
        Journal(world).accept(world.take(Deliver)[0])
    world.send("held", "m", "v2")
    world.say({"type": "user_message", "text": "held", "messageId": "b"}, "enveloped")
    world.core.drain()
    world.core.shut_down()
    world.core.shut_down()
    told = [(event["type"], event.get("code"), event.get("messageId")) for event in clients["v2"].events]
    assert told == [("notice", "draining", None), ("error", "draining", "m")]
    assert clients["raw"].frames == ["The answer was interrupted."]
    ends = [(event["type"], event["inReplyToMessageId"]) for event in clients["enveloped"].events]
    assert ends == [("assistant_message", "b"), ("error", "a"), ("assistant_done", "a")]
    assert len(world.core.hold) == 0


def test_one_message_may_run_beside_those_that_wait() -> None:
    world = World(max_pending=2)
    client = world.connect()
    for number in range(4):
        world.send("x", f"m{number}")
    assert [message.message_id for message in world.of(Deliver)] == ["m0", "m1", "m2"]
    assert [(event["code"], event["messageId"]) for event in client.events] == [("busy", "m3")]


def test_while_draining_each_message_is_refused() -> None:
    world = World()
    client, raw = world.connect("v2"), world.connect("raw", v2=False)
    world.core.drain()
    world.send("x", "m", "v2")
    world.say("hello", "raw")
    assert [(event["type"], event["code"]) for event in client.events] == [
        ("notice", "draining"),
        ("error", "draining"),
    ]
    assert raw.frames == ["The gateway is shutting down. Please retry in a moment."]
    assert world.of(Deliver) == []


def test_principals_do_not_share_sessions() -> None:
    world = World()
    world.connect("a", principal="alice")
    world.connect("b", principal="bob")
    world.send("x", "m", "a", session_id="bob:s")
    world.send("x", "m", "b")
    assert [message.session for message in world.of(Deliver)] == [
        "websocket:alice:bob:s",
        "websocket:bob:s",
    ]


@pytest.mark.parametrize("v2", [True, False])
def test_many_connections_of_one_address_do_not_multiply_for_ever(v2: bool) -> None:
    world = World(messages_per_minute=2, max_connections_per_address=3, max_pending=100)
    for number in range(4):
        client = world.connect(f"c{number}", v2=v2)
        for again in range(2):
            if v2:
                world.send("x", f"m{number}.{again}", f"c{number}", session_id=f"s{number}")
            else:
                world.say("x", f"c{number}")
    assert len(world.of(Deliver)) == 6
    assert len(client.frames) == 2
    assert client.closed is None


def test_a_duplicate_that_has_ended_is_answered_in_envelopes() -> None:
    world = World()
    client = world.connect(v2=False, session_id="s")
    world.say({"type": "user_message", "text": "x", "messageId": "m"})
    (message,) = world.of(Deliver)
    done = TurnDone(
        seq=2, turn_id="t", message_id="m", status="completed", text="answer", usage=Usage(), code=None
    )
    receipt = MessageAccepted(seq=1, message_id="m", text="x", queued=0)
    Journal(world).accept(message, duplicate=receipt, turn_done=done)
    assert [json.loads(frame)["type"] for frame in client.frames] == ["assistant_chunk", "assistant_done"]
