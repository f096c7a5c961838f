"""What ships for monitoring, and the document about it, speak of the metrics that there are, and of no others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from openclaw_actors.channels.metrics import metrics_page
from openclaw_actors.core.metrics import METRICS, PREFIX, Metric, zeros

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "conf/prometheus/alerts.yml"
DASHBOARD = ROOT / "conf/grafana/openclaw.json"
DOCUMENT = ROOT / "docs/metrics.md"
PARTS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
LABELS = {PREFIX + m.name + part: m.labels for m in METRICS for part in PARTS[m.kind]}
ALWAYS = {"instance", "job", "le"}
PROMTOOL = shutil.which("promtool")

USE = re.compile(r"\b(openclaw_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"([a-z_]+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def alert_rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in json.loads(DASHBOARD.read_text())["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_only_metrics_and_labels_that_exist_are_used(place: str, expression: str) -> None:
    labels: set[str] = set()
    for name, matchers in USE.findall(expression):
        assert name in LABELS, f"{place}: {name} does not exist"
        labels |= set(LABELS[name])
        for label, operator, value in MATCHER.findall(matchers):
            assert label in ALWAYS | set(LABELS[name]), f"{place}: {name} has no label {label}"
            known = LABELS[name].get(label)
            if known and "$" not in value:
                values = value.split("|") if "~" in operator else [value]
                assert set(values) <= set(known), f"{place}: {label} is never {values}"
    for grouped in GROUPING.findall(expression):
        unknown = {each.strip() for each in grouped.split(",")} - labels - ALWAYS
        assert not unknown, f"{place}: nothing has the labels {unknown}"


def test_alerts_are_whole_and_have_a_name_of_their_own() -> None:
    names = [rule["alert"] for rule in alert_rules()]
    assert len(set(names)) == len(names) > 10
    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"].strip(), rule["alert"]


def test_what_one_is_advised_to_watch_has_an_alert() -> None:
    watched = " ".join(expression for _, expression in ((r["alert"], r["expr"]) for r in alert_rules()))
    for name in (
        "openclaw_sessions_live",
        "openclaw_persistence_exhausted_total",
        "openclaw_rate_limit_hits_total",
        "openclaw_drain_seconds",
        "openclaw_actors_failed",
        "openclaw_circuit_breaker_state",
        "openclaw_dead_letters_total",
        "openclaw_ws_slow_consumers_total",
        "openclaw_sms_dead_letters",
        "openclaw_tls_certificate_not_after_seconds",
        "openclaw_tls_certificate_rejected",
    ):
        assert name in watched


def test_the_dashboard_has_no_panel_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def row(metric: Metric) -> str:
    """The metric's line in the document."""
    labels = "; ".join(
        f"`{label}`: " + ", ".join(f"`{value}`" for value in sorted(values))
        for label, values in sorted(metric.labels.items())
    )
    return f"| `{PREFIX}{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_document_describes_every_metric_as_it_is(metric: Metric) -> None:
    assert row(metric) in DOCUMENT.read_text().splitlines()


def test_the_document_describes_no_other_metric() -> None:
    described = set(re.findall(r"^\| `(openclaw_[a-z_]+)`", DOCUMENT.read_text(), re.MULTILINE))
    assert described == {PREFIX + metric.name for metric in METRICS}
    mentioned = set(re.findall(r"`(openclaw_[a-z_]+)[`{]", DOCUMENT.read_text()))
    assert mentioned <= set(LABELS) | described


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    checks: list[tuple[list[str], bytes]] = [
        (["check", "rules", "alerts.yml"], b""),
        (["test", "rules", "alerts_test.yml"], b""),
        (["check", "metrics"], metrics_page(zeros(), "").body),
    ]
    for arguments, given in checks:
        done = subprocess.run(
            [PROMTOOL, *arguments], cwd=tmp_path, input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
