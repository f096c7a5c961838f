"""Owns the bodies of the pages that every port of ours answers: health and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from openclaw_actors.messages.base import Value

__all__ = ["METRICS_TYPE", "HealthPage", "UnreadyPage", "health_page", "metrics_page", "readiness_page"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "openclaw_"


class HealthPage(Value, kw_only=True):
    """All is well."""

    status: Literal["ok"] = "ok"
    uptime: float
    """In seconds."""


class UnreadyPage(Value, kw_only=True):
    """Messages cannot be taken now."""

    status: Literal["unavailable"] = "unavailable"
    failing: tuple[str, ...]
    """What fails, a line each."""
    uptime: float
    """In seconds."""


def health_page(uptime_s: float) -> bytes:
    """The process lives."""
    return msgspec.json.encode(HealthPage(uptime=round(uptime_s, 3))) + b"\n"


def readiness_page(*, ready: bool, problems: Sequence[str], uptime_s: float) -> tuple[int, bytes]:
    """Status and body: whether people can be served, and what fails if not."""
    if ready:
        return 200, health_page(uptime_s)
    return 503, msgspec.json.encode(UnreadyPage(failing=tuple(problems), uptime=round(uptime_s, 3))) + b"\n"


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
