"""The list of metrics: complete, well formed, and the only one."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from openclaw_actors.core.metrics import (
    METRICS,
    REJECTIONS,
    SMS_REJECTIONS,
    Metric,
    channel_label,
    is_detail,
    kind_of,
    rejected,
    zeros,
)
from openclaw_actors.core.series import split_series

PACKAGE = Path(__file__).parents[3] / "openclaw_actors"
NAMES = {metric.name for metric in METRICS}
PROMISED = {
    "sessions_live",
    "sessions_stored",
    "session_starts_total{reason}",
    "session_restarts_total{reason}",
    "session_passivations_total{reason}",
    "mailbox_depth{actor}",
    "messages_accepted_total{channel}",
    "messages_rejected_total{channel,reason}",
    "messages_duplicate_total{channel}",
    "turns_total{status}",
    "turn_seconds",
    "turn_overhead_seconds",
    "persistence_writes_total{result}",
    "persistence_retries_total",
    "persistence_exhausted_total",
    "persistence_write_seconds",
    "persistence_dirty_sessions",
    "actor_restarts_total{actor}",
    "actors_failed",
    "rate_limit_hits_total{channel}",
    "ws_connections",
    "ws_slow_consumers_total",
    "drain_seconds",
    "llm_calls_total{result}",
    "llm_retries_total",
    "llm_tokens_total{direction}",
    "circuit_breaker_state",
    "tool_calls_total{status,tool}",
    "process_resident_bytes{actor}",
}
COUNTED = re.compile(r"""(?:series\(\s*|counters\[f?|_count\(|_Count\()["']([a-z_]+?)(?:\{|["'])""")


def shown(metric: Metric) -> str:
    return metric.name + (f"{{{','.join(sorted(metric.labels))}}}" if metric.labels else "")


def test_every_promised_metric_is_there() -> None:
    assert set(map(shown, METRICS)) >= PROMISED


def test_names_are_unique_and_tell_the_type() -> None:
    assert len(NAMES) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z_]*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert bool(metric.bounds) == (metric.kind == "histogram"), metric.name
        assert list(metric.bounds) == sorted(set(metric.bounds))
        assert metric.help.endswith("."), metric.name


def test_what_is_known_is_shown_from_the_first_scrape_on() -> None:
    first = zeros()
    assert {split_series(key)[0].removesuffix("_bucket").removesuffix("_sum") for key in first} == NAMES
    assert {key for key, value in first.items() if math.isnan(value)} == {"sessions_stored"}
    assert first['messages_rejected_total{channel="sms",reason="busy"}'] == 0
    assert first['turns_total{status="interrupted"}'] == 0
    assert first['turn_seconds_bucket{le="+Inf"}'] == 0
    assert len(first) < 300


def test_nothing_is_counted_that_is_not_in_the_list() -> None:
    counted = {
        (path.name, name) for path in PACKAGE.rglob("*.py") for name in COUNTED.findall(path.read_text())
    }
    assert len({name for _, name in counted}) > 20
    assert {(file, name) for file, name in counted if name not in NAMES} == set()


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ('turns_total{status="completed"}', "counter"),
        ("ws_connections", "gauge"),
        ('turn_seconds_bucket{le="1.0"}', "histogram"),
        ("turn_seconds_sum", "histogram"),
        ("nothing_total", None),
        ("ws_connections_sum", None),
    ],
)
def test_the_type_of_a_series(key: str, kind: str | None) -> None:
    assert kind_of(key) == kind


def test_buckets_are_details() -> None:
    assert is_detail('turn_seconds_bucket{le="1.0"}')
    assert not is_detail("turn_seconds_sum")


def test_a_message_over_a_rate_limit_is_counted_as_both() -> None:
    assert rejected("http", "rate_limited") == (
        'messages_rejected_total{channel="http",reason="rate_limited"}',
        'rate_limit_hits_total{channel="http"}',
    )


def test_a_code_that_nobody_knows_makes_no_series_of_its_own() -> None:
    assert rejected("http", "x" * 99) == ('messages_rejected_total{channel="http",reason="other"}',)
    assert "other" not in REJECTIONS


def test_who_writes_from_a_telephone_is_counted_so() -> None:
    assert channel_label("sms:+15551234567", "http") == "sms"
    assert channel_label("websocket:alice:sms:", "http") == "http"


def test_every_reason_why_an_sms_is_not_taken_is_known() -> None:
    said = re.findall(
        r'Answer\(\s*[\w.]+,\s*"([a-z_]+)"', (PACKAGE / "channels/twilio/inbound.py").read_text()
    )
    taken = {"accepted", "duplicate", "help", "rate_limited"}
    assert set(said) - taken <= set(SMS_REJECTIONS) | set(REJECTIONS)
    assert len(set(said)) > 6
