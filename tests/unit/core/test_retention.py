"""What is too old or too much, and what a clock that was set back changes: nothing."""

from __future__ import annotations

import pytest

from openclaw_actors.core.retention import Limits, Used, to_purge, to_retire
from openclaw_actors.messages.archive import ArchiveSummary

NOW = 1_000_000.0
HOUR = 3_600.0


def used(*ages: float, size: int = 100) -> list[Used]:
    return [Used(f"s{number}", NOW - age, size) for number, age in enumerate(ages)]


def archived(*ages: float, size: int = 100) -> list[ArchiveSummary]:
    return [
        ArchiveSummary(
            archive=f"a{number}",
            session="s",
            archived_at=NOW - age,
            created_at=0.0,
            last_active_at=0.0,
            turns=1,
            size_bytes=size,
        )
        for number, age in enumerate(ages)
    ]


def names(found: list[object]) -> list[str]:
    return [getattr(each, "session", "") if not hasattr(each, "archive") else each.archive for each in found]


def test_without_limits_everything_stays() -> None:
    assert not Limits().any
    assert to_retire(used(1e9), Limits(), NOW) == []
    assert to_purge(archived(1e9), Limits(), NOW) == []


def test_what_was_not_used_for_too_long_is_retired_the_oldest_first() -> None:
    found = to_retire(used(5.0, 11.0, 10.0, 12.0), Limits(max_age_s=10.0), NOW)
    assert names([*found]) == ["s3", "s1"]
    assert {each.idle_since for each in found} == {NOW - 10.0}


def test_so_much_is_retired_that_the_rest_fits_but_nothing_that_was_used_lately() -> None:
    limits = Limits(max_bytes=250, min_idle_s=HOUR)
    ages = (5 * HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR)
    assert names([*to_retire(used(*ages), limits, NOW)]) == ["s0", "s3"]
    assert to_retire(used(1.0, 2.0, 3.0), limits, NOW) == []
    assert to_retire(used(2 * HOUR, 3 * HOUR), limits, NOW) == []
    both = Limits(max_age_s=4.5 * HOUR, max_bytes=350, min_idle_s=HOUR)
    assert names([*to_retire(used(*ages), both, NOW)]) == ["s0"], "what goes for its age counts for the size"


@pytest.mark.parametrize("back_s", [1.0, 1e6, 1e9])
def test_clock_that_was_set_back_takes_nothing(back_s: float) -> None:
    limits = Limits(max_age_s=10.0, max_bytes=1, min_idle_s=10.0, archive_max_age_s=10.0, archive_max_bytes=1)
    assert to_retire(used(0.0, 5.0, 9.0), limits, NOW - back_s) == []
    assert to_purge(archived(0.0), limits, NOW - back_s) == []


def test_archives_go_by_age_and_by_size_the_oldest_first() -> None:
    ages = (5.0, 20.0, 11.0, 1.0)
    assert names([*to_purge(archived(*ages), Limits(archive_max_age_s=10.0), NOW)]) == ["a1", "a2"]
    assert names([*to_purge(archived(*ages), Limits(archive_max_bytes=150), NOW)]) == ["a1", "a2", "a0"]
    assert to_purge(archived(*ages), Limits(archive_max_bytes=400), NOW) == []
