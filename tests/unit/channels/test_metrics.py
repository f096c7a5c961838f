"""The page of metrics, read back by the parsers of the Prometheus library."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from openclaw_actors.channels.metrics import metrics_page, wants_json
from openclaw_actors.core.metrics import METRICS, PREFIX, zeros
from openclaw_actors.core.series import Histogram, Tally, series

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def page(values: dict[str, float], accept: str = "", reader: Any = parse) -> dict[tuple[str, ...], float]:
    """The samples, by name and label values in the order of the labels' names."""
    answer = metrics_page({**zeros(), **values}, accept)
    assert answer.status == 200
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in reader(answer.body.decode())
        for sample in family.samples
    }


def test_every_metric_has_its_type_and_help_from_the_first_scrape_on() -> None:
    families = {family.name: family for family in parse(metrics_page(zeros(), "").body.decode())}
    for metric in METRICS:
        family = families[PREFIX + metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert family.samples, metric.name
    assert len(families) == len(METRICS)


@pytest.mark.parametrize(("accept", "reader"), [("", parse), (OPENMETRICS, parse_openmetrics)])
def test_both_formats_say_the_same(accept: str, reader: Any) -> None:
    values = {series("turns_total", status="failed"): 2.0, "ws_connections": 5.0}
    samples = page(values, accept, reader)
    assert samples["openclaw_turns_total", "failed"] == 2
    assert samples["openclaw_turns_total", "completed"] == 0
    assert samples[("openclaw_ws_connections",)] == 5
    assert math.isnan(samples[("openclaw_sessions_stored",)])


def test_the_content_type_is_that_of_the_format() -> None:
    assert metrics_page({}, "").content_type.startswith("text/plain; version=0.0.4")
    assert metrics_page({}, OPENMETRICS).content_type.startswith(
        "application/openmetrics-text; version=1.0.0"
    )
    assert metrics_page({}, OPENMETRICS).body.endswith(b"# EOF\n")
    assert metrics_page({}, "application/json").content_type == "application/json"


@pytest.mark.parametrize(("accept", "reader"), [("", parse), (OPENMETRICS, parse_openmetrics)])
@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\\nb", "{}", "ünï", "a,b=c"])
def test_label_values_come_through(name: str, accept: str, reader: Any) -> None:
    samples = page({series("tool_calls_total", tool=name, status="ok"): 1.0}, accept, reader)
    assert samples["openclaw_tool_calls_total", "ok", name] == 1


def test_buckets_are_added_up() -> None:
    values = Tally()
    bounds = next(metric.bounds for metric in METRICS if metric.name == "turn_seconds")
    histogram = Histogram(values, "turn_seconds", bounds)
    for each in (0.004, 0.3, 0.4, 4_000.0):
        histogram.observe(each)
    samples = page(dict(values))
    assert samples["openclaw_turn_seconds_bucket", "0.01"] == 1
    assert samples["openclaw_turn_seconds_bucket", "0.25"] == 1
    assert samples["openclaw_turn_seconds_bucket", "0.5"] == 3
    assert samples["openclaw_turn_seconds_bucket", "600.0"] == 3
    assert samples["openclaw_turn_seconds_bucket", "+Inf"] == samples[("openclaw_turn_seconds_count",)] == 4
    assert samples[("openclaw_turn_seconds_sum",)] == pytest.approx(4_000.704)


def test_what_is_not_in_the_list_is_not_shown() -> None:
    samples = page({"secret_total": 1.0, series("ws_connections", by="me"): 3.0})
    assert not any("secret" in key[0] for key in samples)
    assert [key for key in samples if key[0] == "openclaw_ws_connections"] == [("openclaw_ws_connections",)]


def test_numbers_that_cannot_be_had_are_no_zeros() -> None:
    assert metrics_page(None, "").status == 503
    assert metrics_page(None, "application/json").status == 503


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/plain, application/json", False),
        ("text/plain;q=0.5, application/json;q=0.9", True),
        ("application/json;q=0.1, text/plain", False),
        ("application/json;q=0", False),
        ("application/json;q=x", False),
        ("APPLICATION/JSON ; charset=utf-8", True),
        ("*/*", False),
        ("", False),
        (OPENMETRICS, False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
    ],
)
def test_who_gets_json(accept: str, json_wanted: bool) -> None:
    assert wants_json(accept) is json_wanted


def test_the_json_object_has_the_old_names_and_true_values() -> None:
    values = {
        **zeros(),
        series("messages_accepted_total", channel="websocket"): 3.0,
        series("messages_accepted_total", channel="sms"): 1.0,
        series("llm_calls_total", result="ok"): 5.0,
        series("llm_calls_total", result="timeout"): 2.0,
        series("llm_calls_total", result="cancelled"): 9.0,
        series("llm_tokens_total", direction="input"): 100.0,
        series("llm_tokens_total", direction="output"): 50.0,
        series("tool_calls_total", tool="memory", status="ok"): 4.0,
        series("tool_calls_total", tool="memory", status="error"): 1.0,
        series("tool_calls_total", tool="shell", status="timeout"): 2.0,
        series("tool_calls_total", tool="shell", status="denied"): 8.0,
        series("tool_calls_total", tool="unknown", status="error"): 8.0,
        "llm_retries_total": 6.0,
        "sessions_live": 7.0,
        "circuit_breaker_state": 1.0,
    }
    assert json.loads(metrics_page(values, "application/json").body) == {
        "totalRequests": 4,
        "totalLlmCalls": 5,
        "totalInputTokens": 100,
        "totalOutputTokens": 50,
        "totalToolCalls": 7,
        "totalToolFailures": 3,
        "totalToolTimeouts": 2,
        "totalLlmRetries": 6,
        "totalLlmErrors": 2,
        "activeSessions": 7,
        "circuitBreakerState": 1,
    }
