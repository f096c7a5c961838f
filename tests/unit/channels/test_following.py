"""Whatever is replayed, lost and replaced: each follower gets every durable event once, in order, and all the text."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.channels.follow import Follow, Missed
from openclaw_actors.channels.websocket import fanout
from openclaw_actors.messages import (
    AssistantChunk,
    MessageAccepted,
    Notice,
    Replay,
    SessionEvents,
    SessionLost,
)
from tests.unit.channels.world import JOURNAL_STEPS, Client, Journal, World

STEPS = st.lists(
    st.one_of(
        *JOURNAL_STEPS,
        st.tuples(st.just("drained"), st.just(0)),
        st.tuples(st.just("router"), st.just(0)),
        st.tuples(st.just("late"), st.just(0)),
        st.tuples(st.just("again"), st.integers(0, 10)),
    ),
    max_size=40,
)


def streamed(client: Client, *, after: int = 0) -> dict[int, str]:
    """The text of each attempt, as a client puts it together; fails on a gap."""
    texts: dict[int, str] = {}
    for event in client.events[after:]:
        if event["type"] == "assistant_chunk":
            text = texts.get(event["attempt"], "")
            assert event["offset"] <= len(text), "a gap"
            texts[event["attempt"]] = text[: event["offset"]] + event["text"]
    return texts


def step(world: World, journal: Journal, what: str, number: int) -> None:
    match what:
        case "drained":
            world.drained()
        case "router":
            world.take(Replay)
            world.core.router_replaced(world.now)
        case "late":
            world.now += 6
            world.core.tick(world.now)
        case _:
            journal.happen(what, number)


@settings(max_examples=400, deadline=None)
@given(before=st.integers(0, 5), known=st.integers(0, 5), steps=STEPS)
def test_a_resumed_client_misses_nothing_and_sees_nothing_twice(
    before: int, known: int, steps: list[tuple[str, int]]
) -> None:
    world = World()
    journal = Journal(world)
    for number in range(before):
        journal.accepted(f"b{number}")
    journal.wire.clear()
    client = world.connect()
    known = min(known, before)
    world.resume(known)
    for what, number in steps:
        if what != "again":
            step(world, journal, what, number)
    journal.settle()
    assert [event["seq"] for event in client.durable()] == list(range(known + 1, len(journal.events) + 1))
    if journal.running is not None:
        assert streamed(client).get(journal.attempt, "") == journal.running.text


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_a_client_that_follows_from_now_gets_all_from_there(steps: list[tuple[str, int]]) -> None:
    world = World()
    journal = Journal(world)
    journal.accepted("before")
    journal.wire.clear()
    client = world.connect()
    world.resume(None)
    for what, number in steps:
        if what != "again":
            step(world, journal, what, number)
    journal.settle()
    if client.durable():
        assert client.durable()[-1]["seq"] == len(journal.events)
    journal.accepted("last")
    journal.settle()
    seqs = [event["seq"] for event in client.durable()]
    assert seqs == list(range(seqs[0], len(journal.events) + 1))
    if journal.running is not None:
        assert streamed(client).get(journal.attempt, "") == journal.running.text


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_who_resumes_again_and_again_can_put_it_together(steps: list[tuple[str, int]]) -> None:
    """Each resume starts anew from a number that the client chose; from there nothing is missing."""
    world = World()
    journal = Journal(world)
    client = world.connect()
    world.resume(0)
    since, first = 0, 1
    for what, number in steps:
        if what == "again":
            journal.settle()
            first = min(number, len(journal.events)) + 1
            since = len(client.frames)
            world.resume(first - 1)
        else:
            step(world, journal, what, number)
    journal.settle()
    seqs = [event["seq"] for event in client.events[since:] if "seq" in event]
    assert seqs == list(range(first, len(journal.events) + 1))


def test_two_clients_that_join_at_different_times_agree() -> None:
    world = World()
    journal = Journal(world)
    early, late = world.connect("early"), world.connect("late")
    world.resume(0, "early")
    journal.settle()
    journal.accepted("m")
    journal.turn_started()
    journal.chunk("hello ")
    journal.settle()
    world.resume(0, "late")
    journal.chunk("wor")
    journal.answer_replays()
    journal.chunk("ld")
    journal.settle()
    journal.done()
    journal.settle()
    assert early.durable() == late.durable()
    assert streamed(early) == streamed(late) == {1: "hello world"}


def test_an_event_is_encoded_once_for_all_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    journal = Journal(world)
    for number in range(5):
        world.connect(f"c{number}")
        world.resume(0, f"c{number}")
    journal.settle()
    encoded: list[Any] = []
    real = fanout.encode_event
    monkeypatch.setattr(fanout, "encode_event", lambda *args: encoded.append(args) or real(*args))
    journal.accepted("m")
    journal.settle()
    assert [client.durable()[-1]["messageId"] for client in world.clients.values()] == ["m"] * 5
    assert len(encoded) == 1


def test_what_a_dead_process_still_says_counts_for_nothing() -> None:
    world = World()
    journal = Journal(world)
    client = world.connect()
    world.resume(0)
    journal.turn_started()
    journal.chunk("old")
    late = list(journal.wire)
    journal.wire.clear()
    world.core.session_lost(SessionLost(session=journal.key, incarnation=1, reason=""), world.now)
    said = Notice(code="late", text="I am not dead.")
    journal.wire += [*late, SessionEvents(session=journal.key, incarnation=1, events=(said,))]
    journal.arrive()
    assert [event["code"] for event in client.events] == ["session_restarted"]


def test_what_is_known_already_is_not_told_again() -> None:
    follow = Follow("s", 5)
    event = MessageAccepted(seq=5, message_id="m", text="x", queued=0)
    assert follow.take(event) is None
    assert follow.take(msgspec.structs.replace(event, seq=7)) is Missed.EVENTS
    first = AssistantChunk(turn_id="t", attempt=1, offset=0, text="hello")
    assert follow.take(first) is first
    assert follow.take(first) is None
    assert follow.take(msgspec.structs.replace(first, offset=3, text="lo you")) == AssistantChunk(
        turn_id="t", attempt=1, offset=5, text=" you"
    )
    assert follow.take(msgspec.structs.replace(first, offset=20)) is Missed.EVENTS


def test_a_client_that_claims_more_than_there_is_goes_on_from_the_newest() -> None:
    world = World()
    journal = Journal(world)
    journal.accepted("before")
    journal.wire.clear()
    client = world.connect()
    world.resume(99)
    journal.settle()
    journal.accepted("after")
    journal.settle()
    assert [event["messageId"] for event in client.durable()] == ["after"]


def test_pages_of_the_past_come_two_at_a_time() -> None:
    world = World()
    world.connect()
    for number in range(10):
        world.resume(0, session_id=f"s{number}")
    assert [replay.session[-2:] for replay in world.of(Replay)] == ["s0", "s1"]
    asked: list[str] = []
    for number in range(10):
        assert 1 <= len(world.of(Replay)) <= 2
        journal = Journal(world, f"websocket:local:s{number}")
        journal.accepted("m")
        journal.wire.clear()
        asked += [replay.session for replay in world.of(Replay) if replay.session == journal.key]
        journal.answer_replays()
        journal.arrive()
        world.drained()
    assert asked == [f"websocket:local:s{number}" for number in range(10)]
    assert len(world.core.replays) == 0


def test_a_session_that_does_not_answer_lets_the_others_go_first() -> None:
    world = World()
    client = world.connect()
    for number in range(3):
        world.resume(0, session_id=f"s{number}")
    world.take(Replay)
    world.now += 6
    world.core.tick(world.now)
    world.drained()
    assert {replay.session[-2:] for replay in world.of(Replay)} >= {"s2"}
    journal = Journal(world, "websocket:local:s2")
    journal.accepted("m")
    journal.wire.clear()
    journal.answer_replays()
    journal.arrive()
    assert len(client.durable("s2")) == 1


def test_a_second_resume_on_the_same_connection_brings_all_of_the_running_attempt_again() -> None:
    world = World()
    journal = Journal(world)
    client = world.connect()
    world.resume(0)
    journal.settle()
    journal.turn_started()
    journal.chunk("one ")
    journal.chunk("two ")
    journal.settle()
    for last_seq in (0, 1, None):
        before = len(client.events)
        world.resume(last_seq)
        journal.chunk("x")
        journal.settle()
        again = [event for event in client.events[before:] if event["type"] == "assistant_chunk"]
        assert journal.running is not None
        assert [(chunk["offset"], chunk["text"]) for chunk in again] == [(0, journal.running.text)]
