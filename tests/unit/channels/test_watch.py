"""Whatever is replayed, lost and replaced: who watches a session reads every event once, in order, and all its text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.channels.backlog import MAX_BACKLOG_BYTES
from openclaw_actors.channels.watch import Watch, Watches
from openclaw_actors.messages import (
    AssistantChunk,
    Event,
    Message,
    Notice,
    Replay,
    ReplayPage,
    SessionEvents,
    SessionLost,
    Unfollow,
)
from tests.unit.channels.world import JOURNAL_STEPS, Journal

STEPS = st.lists(
    st.one_of(
        *JOURNAL_STEPS,
        st.tuples(st.just("router"), st.just(0)),
        st.tuples(st.just("late"), st.just(0)),
    ),
    max_size=40,
)


class World:
    """A channel that only watches, as `Journal` knows the WebSocket's."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.routed: list[Message] = []
        self.paging: list[str] = []
        self.watches = Watches("http", self.routed.append)
        self.core = self
        self.woken = 0

    def session_events(self, message: SessionEvents, now: float) -> None:
        self.watches.events(message, now)

    def replay_page(self, message: ReplayPage, now: float) -> None:
        self.watches.page(message, now)

    def session_lost(self, message: SessionLost, now: float) -> None:
        self.watches.lost(message, now)

    def drained(self) -> None:
        pass

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.routed if type(message) is kind]

    def take(self, kind: type[Message]) -> None:
        self.routed[:] = [message for message in self.routed if type(message) is not kind]

    def wake(self) -> None:
        self.woken += 1

    def watch(self, journal: Journal, after_seq: int | None, name: str = "w") -> Watch:
        watch = Watch(name, journal.key, self.wake)
        self.watches.begin(watch, after_seq, self.now)
        return watch


def journal_in(world: World) -> Journal:
    return Journal(world)  # type: ignore[arg-type]


def read(watch: Watch) -> list[Event]:
    return [watch.pop() for _ in range(len(watch))]


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events if not isinstance(event, (AssistantChunk, Notice))]  # type: ignore[union-attr]


def texts(events: list[Event]) -> dict[int, str]:
    """The text of each attempt; fails on a gap."""
    found: dict[int, str] = {}
    for event in events:
        if isinstance(event, AssistantChunk):
            text = found.get(event.attempt, "")
            assert event.offset == len(text), "a gap, or something twice"
            found[event.attempt] = text + event.text
    return found


def step(world: World, journal: Journal, what: str, number: int) -> None:
    match what:
        case "router":
            world.take(Replay)
            world.watches.router_replaced(world.now)
        case "late":
            world.now += 6
            world.watches.tick(world.now)
        case _:
            journal.happen(what, number)


@settings(max_examples=300, deadline=None)
@given(before=st.integers(0, 5), known=st.integers(0, 5), steps=STEPS)
def test_all_that_comes_after_a_number_is_read_once_and_in_order(
    before: int, known: int, steps: list[tuple[str, int]]
) -> None:
    world = World()
    journal = journal_in(world)
    for number in range(before):
        journal.accepted(f"b{number}")
    journal.wire.clear()
    known = min(known, before)
    watch = world.watch(journal, known)
    for what, number in steps:
        step(world, journal, what, number)
    journal.settle()
    events = read(watch)
    assert seqs(events) == list(range(known + 1, len(journal.events) + 1))
    assert watch.live
    if journal.running is not None:
        assert texts(events).get(journal.attempt, "") == journal.running.text


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_from_now_on_nothing_is_missing(steps: list[tuple[str, int]]) -> None:
    world = World()
    journal = journal_in(world)
    journal.accepted("before")
    journal.wire.clear()
    watch = world.watch(journal, None)
    for what, number in steps:
        step(world, journal, what, number)
    journal.settle()
    journal.accepted("last")
    journal.settle()
    events = read(watch)
    found = seqs(events)
    assert found == list(range(found[0], len(journal.events) + 1))
    if journal.running is not None:
        assert texts(events).get(journal.attempt, "") == journal.running.text


def test_two_who_watch_from_different_times_agree() -> None:
    world = World()
    journal = journal_in(world)
    early = world.watch(journal, 0, "early")
    journal.settle()
    journal.accepted("m")
    journal.turn_started()
    journal.chunk("hello ")
    journal.settle()
    late = world.watch(journal, 0, "late")
    journal.chunk("world")
    journal.settle()
    journal.done()
    journal.settle()
    one, other = read(early), read(late)
    assert seqs(one) == seqs(other) == [1, 2, 3]
    assert texts(one) == texts(other) == {1: "hello world"}


def test_the_session_is_let_go_when_the_last_one_leaves() -> None:
    world = World()
    journal = journal_in(world)
    one, other = world.watch(journal, None, "one"), world.watch(journal, None, "other")
    world.watches.end(one)
    assert world.of(Unfollow) == []
    world.watches.end(other)
    assert world.of(Unfollow) == [Unfollow(session=journal.key, channel="http")]
    world.watches.end(other)
    assert len(world.of(Unfollow)) == 1
    assert journal.key not in world.watches
    assert len(world.watches) == 0


def test_who_reads_too_slowly_is_cut_off_and_keeps_nothing() -> None:
    world = World()
    journal = journal_in(world)
    watch, quick = world.watch(journal, None), world.watch(journal, None, "quick")
    journal.settle()
    journal.turn_started()
    for _ in range(6):
        journal.chunk("x" * (MAX_BACKLOG_BYTES // 4))
        journal.arrive()
        read(quick)
    assert watch.cut_off
    assert len(watch) == 0
    assert not quick.cut_off


def test_who_reads_makes_room_again() -> None:
    world = World()
    journal = journal_in(world)
    watch = world.watch(journal, None)
    journal.settle()
    journal.turn_started()
    for _ in range(20):
        journal.chunk("x" * (MAX_BACKLOG_BYTES // 4))
        journal.arrive()
        read(watch)
    assert not watch.cut_off


def test_what_a_dead_process_still_says_counts_for_nothing() -> None:
    world = World()
    journal = journal_in(world)
    watch = world.watch(journal, 0)
    journal.settle()
    world.watches.lost(SessionLost(session=journal.key, incarnation=1, reason="It crashed."), world.now)
    late = Notice(code="late", text="I am not dead.")
    world.watches.events(SessionEvents(session=journal.key, incarnation=1, events=(late,)), world.now)
    assert read(watch) == [Notice(code="session_restarted", text="It crashed.")]


def test_a_reader_is_woken_by_each_event_and_when_it_is_live() -> None:
    world = World()
    journal = journal_in(world)
    watch = world.watch(journal, None)
    assert not watch.live
    journal.settle()
    assert watch.live
    assert world.woken == 1
    journal.accepted("m")
    journal.settle()
    assert world.woken == 2


def test_reading_what_is_not_there_is_an_error() -> None:
    with pytest.raises(IndexError):
        Watch("w", "s", lambda: None).pop()
