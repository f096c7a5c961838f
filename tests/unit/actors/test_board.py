"""Shared memory for counts: what a process counted outlives it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from openclaw_actors.actors import board, catalogue
from openclaw_actors.actors.board import REGION_BYTES, Board


@pytest.fixture(autouse=True)
def _no_board() -> Iterator[None]:
    before = board._installed
    board._installed = None
    yield
    board._installed = before


def in_a_process_that_is_killed(work: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_the_next_incarnation_goes_on_where_the_killed_one_was() -> None:
    board.install()
    reader = board.installed()

    def count() -> None:
        counters = board.counters_of("persistence")
        for _ in range(3):
            counters['turns_total{status="completed"}'] += 1
        counters["turn_seconds_sum"] += 0.5

    for incarnation in (1, 2, 3):
        in_a_process_that_is_killed(count)
        values = reader.values()
        assert values['turns_total{status="completed"}'] == 3 * incarnation
        assert values["turn_seconds_sum"] == 0.5 * incarnation


def test_a_reader_finds_what_was_begun_since_it_looked() -> None:
    reader = board.install()
    assert reader.values() == {}
    in_a_process_that_is_killed(lambda: board.counters_of("model").update({"a": 1.0}))
    assert reader.values() == {"a": 1.0}
    in_a_process_that_is_killed(lambda: board.counters_of("router").update({"b": 2.0}))
    in_a_process_that_is_killed(lambda: board.counters_of("model").update({"ä" * 40: 3.0}))
    assert reader.values() == {"a": 1.0, "b": 2.0, "ä" * 40: 3.0}


def test_who_dies_in_the_middle_of_a_new_series_leaves_nothing_half() -> None:
    region = Board().region("model")
    region["first"] = 1.0
    end = 8 + region._read
    region._memory[end : end + 40] = b"\xff" * 40  # a key that was on its way
    again = board.Region(region._memory, "model")
    again["second"] += 1
    assert dict(again) == {"first": 1.0, "second": 1.0}


def test_values_stand_where_they_are_written_as_a_whole() -> None:
    region = Board().region("http")
    for length in range(1, 40):
        region["k" * length] = float(length)
    assert {key: region[key] for key in region} == {"k" * n: float(n) for n in range(1, 40)}
    assert dict(board.Region(region._memory, "http")) == dict(region)


def test_a_full_region_counts_on_with_what_it_knows(caplog: pytest.LogCaptureFixture) -> None:
    whole = Board()
    region = whole.region("model")
    whole.region("router")["neighbour"] = 7.0
    for number in range(REGION_BYTES // 16):
        region[f"series {number}"] += 1
    region["series 0"] += 1
    assert region["series 0"] == 2
    assert len(region) < REGION_BYTES // 16
    assert whole.values()["neighbour"] == 7.0
    assert len([r for r in caplog.records if "too many different things" in r.message]) == 1


def test_what_was_counted_stays_counted() -> None:
    with pytest.raises(TypeError):
        del Board().region("model")["a"]


def test_without_a_board_an_actor_counts_for_itself() -> None:
    counters = board.counters_of("model")
    counters["a"] += 1
    assert dict(counters) == {"a": 1}
    assert board.counters_of("model")["a"] == 0


def test_who_has_no_region_counts_for_itself() -> None:
    whole = board.install()
    board.counters_of("session")["a"] += 1
    assert whole.values() == {}
    with pytest.raises(KeyError):
        whole.region("session")


def test_every_service_has_a_region() -> None:
    assert set(board._NAMES) == {"supervisor", *catalogue.SERVICES, *catalogue.OUTBOXES}
