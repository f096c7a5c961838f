"""Owns the bodies of the pages that every port of ours answers: health and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

__all__ = ["METRICS_TYPE", "health_page", "metrics_page", "readiness_page"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "openclaw_"


def health_page(uptime_s: float) -> bytes:
    """The process lives."""
    return msgspec.json.encode({"status": "ok", "uptime": round(uptime_s, 3)}) + b"\n"


def readiness_page(*, ready: bool, problems: Sequence[str], uptime_s: float) -> tuple[int, bytes]:
    """Status and body: whether people can be served, and what fails if not."""
    if ready:
        return 200, health_page(uptime_s)
    body = {"status": "unavailable", "failing": list(problems), "uptime": round(uptime_s, 3)}
    return 503, msgspec.json.encode(body) + b"\n"


def metrics_page(counters: Mapping[str, float]) -> bytes:
    """Prometheus' text format of metrics, each with its labels as `name{label="value"}`, without our prefix."""
    families: dict[str, list[str]] = {}
    for key in sorted(counters):
        name = key.partition("{")[0]
        families.setdefault(name, []).append(f"{_PREFIX}{key} {counters[key]:.17g}\n")
    lines: list[str] = []
    for name, samples in families.items():
        lines.append(f"# TYPE {_PREFIX}{name} {'counter' if name.endswith('_total') else 'gauge'}\n")
        lines.extend(samples)
    return "".join(lines).encode()
