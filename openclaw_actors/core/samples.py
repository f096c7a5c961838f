"""Decides which of the gateway's numbers are plotted, and sums them up over the labels that no plot shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_actors.core.metrics import METRICS
from openclaw_actors.core.series import bound_text, split_series

__all__ = ["sample_of"]

_TOTALS: Mapping[str, str | None] = {
    "turns_total": "status",
    "messages_accepted_total": None,
    "messages_rejected_total": None,
    "session_restarts_total": "reason",
    "actor_restarts_total": "actor",
    "session_passivations_total": None,
    "persistence_writes_total": "result",
    "persistence_retries_total": None,
    "persistence_exhausted_total": None,
    "persistence_records_total": None,
    "llm_calls_total": "result",
    "tool_calls_total": "status",
}
"""A counter -> the label by which it is shown; None: it is one number."""
_HISTOGRAMS = ("turn_seconds", "persistence_write_seconds")


def sample_of(values: Mapping[str, float]) -> dict[str, Any]:
    """The numbers that are plotted, all of them counted since the start.

    Args:
        values: by series; each bucket of a histogram counted alone.

    Returns:
        By metric a number, or numbers by label; of a histogram `sum` and `counts`, one for each of its `bounds` and a
        last one for what is above them.
    """
    totals: dict[str, Any] = {name: 0.0 if label is None else {} for name, label in _TOTALS.items()}
    for key, value in values.items():
        name, labels = split_series(key)
        if name not in _TOTALS:
            continue
        label = _TOTALS[name]
        if label is None:
            totals[name] += value
        else:
            shown = dict(labels).get(label, "")
            totals[name][shown] = totals[name].get(shown, 0.0) + value
    return {**totals, **{name: _histogram(name, values) for name in _HISTOGRAMS}}


def _histogram(name: str, values: Mapping[str, float]) -> dict[str, Any]:
    bounds = _BOUNDS[name]
    counts = [values.get(f'{name}_bucket{{le="{text}"}}', 0.0) for text in _texts(bounds)]
    return {"sum": values.get(f"{name}_sum", 0.0), "bounds": bounds, "counts": counts}


def _texts(bounds: Iterable[float]) -> list[str]:
    return [*map(bound_text, bounds), "+Inf"]


_BOUNDS = {metric.name: metric.bounds for metric in METRICS if metric.name in _HISTOGRAMS}
