"""Names one number of a metric, and counts in such numbers.

A series is one number: a metric's name, without our prefix, and its labels, written as Prometheus writes them:
`messages_rejected_total{channel="websocket",reason="busy"}`. Labels stand in the order of the alphabet, so that the
same labels are always the same series.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import lru_cache

__all__ = [
    "MAX_LABEL_CHARS",
    "Histogram",
    "Tally",
    "bound_text",
    "buckets",
    "merged",
    "series",
    "split_series",
]

MAX_LABEL_CHARS = 100
"""A label's value that is longer is cut there: what others say must not fill our memory."""

_ESCAPES = {"\\": r"\\", "\n": r"\n", '"': r"\""}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"')


def series(name: str, **labels: str) -> str:
    """The series of a metric with these labels; their values may be any text."""
    if not labels:
        return name
    if max(map(len, labels.values())) > MAX_LABEL_CHARS:
        labels = {label: value[:MAX_LABEL_CHARS] for label, value in labels.items()}
    return _series(name, tuple(labels.items()))


@lru_cache(maxsize=1_024)
def _series(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    inside = ",".join(f'{label}="{_escape(value)}"' for label, value in sorted(labels))
    return f"{name}{{{inside}}}"


@lru_cache(maxsize=4_096)
def split_series(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Name and labels of a series, as `series` was given them."""
    name, _, inside = text.partition("{")
    return name, tuple((label, _unescape(value)) for label, value in _LABEL.findall(inside))


def _escape(value: str) -> str:
    cut = value.encode("utf-8", "replace").decode()
    return "".join(_ESCAPES.get(char, char) for char in cut)


def _unescape(value: str) -> str:
    return re.sub(r"\\.", lambda found: _UNESCAPES.get(found.group(), found.group()), value)


class Tally(MutableMapping[str, float]):
    """Numbers by series; one that was never written is 0. `tally[series] += 1` counts."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def __getitem__(self, key: str) -> float:
        return self._values.get(key, 0.0)

    def __setitem__(self, key: str, value: float) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Histogram:
    """Sorts observations into buckets, and adds them up.

    Args:
        values: where the buckets are counted, each alone: `NAME_bucket{le="0.1"}` is what fell between the bound
            before it and 0.1. The sum is `NAME_sum`.
        name: the metric's.
        bounds: upper bounds of the buckets, rising; what is above the last has a bucket of its own.
    """

    def __init__(self, values: MutableMapping[str, float], name: str, bounds: Sequence[float]) -> None:
        self._values = values
        self._bounds = tuple(bounds)
        self._buckets = buckets(name, bounds)
        self._sum = f"{name}_sum"

    def observe(self, value: float) -> None:
        """Count one observation; a clock that was set back makes none negative."""
        value = max(0.0, value)
        self._values[self._buckets[bisect_left(self._bounds, value)]] += 1
        self._values[self._sum] += value


def buckets(name: str, bounds: Sequence[float]) -> tuple[str, ...]:
    """The series of a histogram's buckets, in order."""
    texts = [*map(bound_text, bounds), "+Inf"]
    return tuple(series(f"{name}_bucket", le=text) for text in texts)


def bound_text(bound: float) -> str:
    """A bound as it stands in the label `le`."""
    return f"{bound:g}" if bound != int(bound) else f"{bound:.1f}"


def merged(*parts: Mapping[str, float]) -> dict[str, float]:
    """All series of all parts; those that stand in several add up."""
    whole: dict[str, float] = {}
    for part in parts:
        for key, value in part.items():
            whole[key] = whole.get(key, 0.0) + value
    return whole
