"""Which numbers are plotted."""

from __future__ import annotations

from openclaw_actors.core.samples import sample_of
from openclaw_actors.core.series import Histogram, Tally, series


def test_numbers_are_summed_up_over_what_is_not_shown() -> None:
    values = Tally()
    values[series("messages_accepted_total", channel="http")] = 2
    values[series("messages_accepted_total", channel="sms")] = 3
    values[series("turns_total", status="failed")] = 1
    values["something_else_total"] = 9
    sample = sample_of(values)
    assert sample["messages_accepted_total"] == 5
    assert sample["turns_total"] == {"failed": 1}
    assert "something_else_total" not in sample


def test_a_histogram_has_each_bucket_alone() -> None:
    values = Tally()
    bounds = sample_of({})["turn_seconds"]["bounds"]
    histogram = Histogram(values, "turn_seconds", bounds)
    for seconds in (0.02, 0.02, 10_000.0):
        histogram.observe(seconds)
    sample = sample_of(values)["turn_seconds"]
    assert len(sample["counts"]) == len(bounds) + 1
    assert (sample["counts"][1], sample["counts"][-1], sum(sample["counts"])) == (2, 1, 3)
    assert sample["sum"] == 10_000.04
