"""Tests the newest events in memory: none missing, bounded by count and size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.core.recent import RecentEvents
from openclaw_actors.messages import TurnDone, Usage


def _event(seq: int, size: int = 0) -> TurnDone:
    return TurnDone(seq=seq, turn_id="t", message_id="m", status="completed", text="x" * size, usage=Usage())


def test_events_before_its_beginning_are_not_here() -> None:
    recent = RecentEvents(10, 10_000, seq=5)
    recent.add(_event(6))
    assert recent.after(4) is None
    assert recent.after(5) == (_event(6),)
    assert recent.after(6) == ()
    assert recent.after(99) == ()


def test_one_event_over_the_size_is_not_kept_and_not_forgotten_about() -> None:
    recent = RecentEvents(10, 1_000, seq=0)
    recent.add(_event(1, 5_000))
    assert recent.after(0) is None
    assert recent.after(1) == ()


@given(sizes=st.lists(st.integers(0, 600), max_size=40), asked=st.integers(0, 45))
def test_what_it_tells_is_complete_or_it_says_that_it_cannot(sizes: list[int], asked: int) -> None:
    recent = RecentEvents(5, 2_000, seq=0)
    events = [_event(seq, size) for seq, size in enumerate(sizes, 1)]
    for event in events:
        recent.add(event)
    told = recent.after(asked)
    if told is not None:
        assert list(told) == events[asked:]
        assert len(told) <= 5
    else:
        assert len(events[asked:]) > 5 or sum(sizes[asked:]) + 128 * len(sizes[asked:]) > 2_000


def test_reaches_back_over_numbers_that_nobody_has() -> None:
    recent = RecentEvents(3, 10_000, 10)
    assert recent.after(4) is None
    recent.nothing_stored_after(4)
    assert recent.after(4) == ()
    assert recent.after(3) is None
    recent.add(_event(11))
    assert recent.after(4) == (_event(11),)


def test_does_not_claim_to_have_what_it_let_go_of() -> None:
    recent = RecentEvents(1, 10_000, 10)
    recent.add(_event(11))
    recent.add(_event(12))
    recent.nothing_stored_after(4)
    assert recent.after(4) is None
    assert recent.after(11) == (_event(12),)
