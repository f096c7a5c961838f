"""Series: their names, and the histogram that counts in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.core.series import (
    MAX_LABEL_CHARS,
    Histogram,
    Tally,
    bound_text,
    buckets,
    merged,
    series,
    split_series,
)

LABELS = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True), st.text(max_size=MAX_LABEL_CHARS), max_size=4
)


def test_a_series_is_written_as_prometheus_writes_it() -> None:
    assert series("turns_total") == "turns_total"
    wanted = 'messages_rejected_total{channel="websocket",reason="busy"}'
    assert series("messages_rejected_total", reason="busy", channel="websocket") == wanted


@pytest.mark.parametrize(
    ("value", "written"),
    [('say "hi"', r"say \"hi\""), ("a\\b", r"a\\b"), ("two\nlines", r"two\nlines"), ("{,}=", "{,}=")],
)
def test_label_values_are_escaped(value: str, written: str) -> None:
    assert series("m", tool=value) == f'm{{tool="{written}"}}'
    assert split_series(series("m", tool=value)) == ("m", (("tool", value),))


@given(LABELS)
def test_any_label_comes_back(labels: dict[str, str]) -> None:
    text = series("metric_total", **labels)
    text.encode()
    name, found = split_series(text)
    assert name == "metric_total"
    assert dict(found) == {k: v.encode("utf-8", "replace").decode() for k, v in labels.items()}


def test_a_long_value_is_cut() -> None:
    assert split_series(series("m", tool="x" * 10_000)) == ("m", (("tool", "x" * MAX_LABEL_CHARS),))


def test_a_tally_counts_what_was_never_written() -> None:
    tally = Tally()
    tally["a"] += 1
    tally["a"] += 2
    assert (tally["a"], tally["b"], dict(tally)) == (3, 0, {"a": 3})


def test_an_observation_falls_into_the_first_bucket_that_holds_it() -> None:
    values = Tally()
    histogram = Histogram(values, "turn_seconds", (0.5, 1.0))
    for each in (0.5, 0.7, 1.0, 1.1, -3.0):
        histogram.observe(each)
    assert [values[key] for key in buckets("turn_seconds", (0.5, 1.0))] == [2, 2, 1]
    assert values["turn_seconds_sum"] == pytest.approx(3.3)


def test_bounds_are_written_alike_in_every_process() -> None:
    assert list(map(bound_text, (0.001, 0.25, 1.0, 600.0))) == ["0.001", "0.25", "1.0", "600.0"]
    assert buckets("x", (1.0,)) == ('x_bucket{le="1.0"}', 'x_bucket{le="+Inf"}')


def test_what_several_say_adds_up() -> None:
    assert merged({"failed": 1, "live": 2}, {"failed": 2}, {}) == {"failed": 3, "live": 2}
