"""How much fits into a span of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.core.rate import RateWindow, RateWindows

GAPS = st.lists(st.floats(0, 30), max_size=200)


@given(st.integers(1, 5), GAPS)
def test_never_more_than_the_limit_in_any_window(limit: int, gaps: list[float]) -> None:
    window, now, passed = RateWindow(limit, window_s=60.0), 1_000.0, list[float]()
    for gap in gaps:
        now += gap
        if window.hit(now):
            passed.append(now)
            assert sum(now - 60.0 < at for at in passed) <= limit


@given(st.integers(1, 5), GAPS)
def test_what_fits_with_a_second_to_spare_passes(limit: int, gaps: list[float]) -> None:
    window, now, passed = RateWindow(limit, window_s=60.0), 1_000.0, list[float]()
    for gap in gaps:
        now += gap
        room = sum(now - 61.0 <= at for at in passed) < limit
        if window.hit(now):
            passed.append(now)
        else:
            assert not room


def test_what_is_refused_does_not_count() -> None:
    window = RateWindow(2, window_s=60.0)
    assert [window.hit(0.0) for _ in range(5)] == [True, True, False, False, False]
    assert window.used(30.0) == 2
    assert not window.hit(59.0)
    assert window.hit(62.0)


def test_a_limit_below_one_lets_one_pass() -> None:
    assert RateWindow(0).hit(0.0)


def test_keys_do_not_count_for_each_other_and_idle_ones_are_forgotten() -> None:
    windows = RateWindows(1, window_s=60.0, max_keys=100)
    assert windows.hit("a", 0.0)
    assert windows.hit("b", 0.0)
    assert not windows.hit("a", 1.0)
    for number in range(50):
        windows.hit(f"k{number}", 120.0)
    assert "a" not in windows._windows
    for number in range(500):
        windows.hit(f"n{number}", 120.0)
    assert len(windows) <= 100


def test_another_limit_holds_for_windows_that_are_there_too() -> None:
    windows = RateWindows(1)
    assert windows.hit("a", 0.0)
    assert not windows.hit("a", 1.0)
    windows.use(3)
    assert windows.hit("a", 2.0)
    assert windows.hit("a", 3.0)
    assert not windows.hit("a", 4.0)
    windows.use(1)
    assert not windows.hit("a", 5.0)
    assert windows.hit("b", 5.0)
