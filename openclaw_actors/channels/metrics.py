"""Decides how metrics look on the wire: Prometheus' text, OpenMetrics, or the JSON object of OpenClaw.NET."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from openclaw_actors.core.metrics import LLM_RESULTS, METRICS, PREFIX, Metric
from openclaw_actors.core.series import bound_text, buckets, split_series

__all__ = ["GatewayCollector", "MetricsPage", "metrics_page", "wants_json"]

_JSON = "application/json"
_TEXT = ("text/plain", "application/openmetrics-text")
_SILENT = b"The supervisor does not answer.\n"
_FAILED_CALLS = tuple(each for each in LLM_RESULTS if each not in ("ok", "cancelled"))
_FAILED_TOOLS = ("error", "interrupted", "timeout")
_RAN_TOOLS = ("ok", *_FAILED_TOOLS)


class MetricsPage(msgspec.Struct, frozen=True):
    """An answer to `GET /metrics`."""

    status: int
    content_type: str
    body: bytes


def metrics_page(values: Mapping[str, float] | None, accept: str) -> MetricsPage:
    """The page in the form that the client prefers.

    Args:
        values: by series; None: they could not be had, which is no time to show zeros.
        accept: the request's `Accept`, empty if it has none.
    """
    if values is None:
        return MetricsPage(503, "text/plain; charset=utf-8", _SILENT)
    if wants_json(accept):
        return MetricsPage(200, _JSON, msgspec.json.encode(_summary(values)) + b"\n")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(values))
    encode, content_type = choose_encoder(accept)
    return MetricsPage(200, content_type, encode(registry))


def wants_json(accept: str) -> bool:
    """Whether a client would rather have JSON than text: a type that it names counts, `*/*` is text; first come, first
    served among equals."""
    qualities = {name: (quality, -place) for place, (name, quality) in enumerate(_accepted(accept))}
    nothing = (0.0, -len(qualities))
    json = qualities.get(_JSON, nothing)
    return json[0] > 0 and json > max(qualities.get(text, nothing) for text in _TEXT)


def _accepted(accept: str) -> Iterator[tuple[str, float]]:
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            yield name, min(1.0, max(0.0, float(quality)))
        except ValueError:
            yield name, 0.0


class GatewayCollector(Collector):
    """Gives the numbers of one scrape to the Prometheus library, with type and help; others it leaves out.

    Args:
        values: by series; each bucket of a histogram counted alone.
    """

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values
        self._by_name: dict[str, list[tuple[dict[str, str], float]]] = {}
        for key, value in sorted(values.items()):
            name, labels = split_series(key)
            self._by_name.setdefault(name, []).append((dict(labels), value))

    def collect(self) -> Iterable[Family]:
        """All metrics, in the order of the list."""
        for metric in METRICS:
            yield self._histogram(metric) if metric.kind == "histogram" else self._plain(metric)

    def _plain(self, metric: Metric) -> Family:
        family_class = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        labels = list(metric.labels)
        family = family_class(PREFIX + metric.name, metric.help, labels=labels)
        for found, value in self._by_name.get(metric.name, ()):
            if found.keys() == metric.labels.keys():
                family.add_metric([found[label] for label in labels], value)
        return family

    def _histogram(self, metric: Metric) -> Family:
        total = 0.0
        counts: list[tuple[str, float]] = []
        bounds = [*map(bound_text, metric.bounds), "+Inf"]
        for bound, bucket in zip(bounds, buckets(metric.name, metric.bounds), strict=True):
            total += self._values.get(bucket, 0.0)
            counts.append((bound, total))
        family = HistogramMetricFamily(PREFIX + metric.name, metric.help)
        family.add_metric([], counts, self._values.get(f"{metric.name}_sum", 0.0))
        return family


def _summary(values: Mapping[str, float]) -> dict[str, int]:
    """The fields of OpenClaw.NET, all of them whole numbers."""

    def total(name: str, label: str = "", wanted: tuple[str, ...] = ()) -> int:
        found = ((split_series(key), value) for key, value in values.items())
        return int(
            sum(
                value
                for (each, labels), value in found
                if each == name
                and (not label or dict(labels).get(label) in wanted)
                and ("tool", "unknown") not in labels
            )
        )

    return {
        "totalRequests": total("messages_accepted_total"),
        "totalLlmCalls": total("llm_calls_total", "result", ("ok",)),
        "totalInputTokens": total("llm_tokens_total", "direction", ("input",)),
        "totalOutputTokens": total("llm_tokens_total", "direction", ("output",)),
        "totalToolCalls": total("tool_calls_total", "status", _RAN_TOOLS),
        "totalToolFailures": total("tool_calls_total", "status", _FAILED_TOOLS),
        "totalToolTimeouts": total("tool_calls_total", "status", ("timeout",)),
        "totalLlmRetries": total("llm_retries_total"),
        "totalLlmErrors": total("llm_calls_total", "result", _FAILED_CALLS),
        "activeSessions": total("sessions_live"),
        "circuitBreakerState": total("circuit_breaker_state"),
    }
