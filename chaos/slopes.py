"""Decides whether something grows: a straight line through samples, and how sure its slope is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

__all__ = ["Slope", "slope_of"]

_BLOCKS = 20
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""Student's t for 95 %, by degrees of freedom from 1."""


@dataclass(frozen=True)
class Slope:
    """A line through samples.

    Args:
        per_hour: its slope.
        margin: the slope is within so much of that, with 95 % confidence.
        first, last: the line's values at the first and the last sample.
        seconds: between these.
    """

    per_hour: float
    margin: float
    first: float
    last: float
    seconds: float

    @property
    def may_be_zero(self) -> bool:
        """Is zero within the margin, or below it?"""
        return self.per_hour <= self.margin

    def grows(self, tolerance: float) -> bool:
        """Is it surely no zero, and more than can be told from nothing?

        Args:
            tolerance: so much within the time of the samples does not count.
        """
        # Twice the margin is 99.99 %: among the twenty lines of a report none is to be wrong.
        least = self.per_hour - 2 * self.margin
        return least > 0 and self.per_hour * self.seconds / 3600 > tolerance


def slope_of(samples: Sequence[tuple[float, float]], beside: Sequence[float] = ()) -> Slope:
    """Least squares over the means of twenty blocks: neighbouring samples are alike, and would feign confidence.

    Args:
        samples: time in seconds, and value.
        beside: of each sample something else that the value goes with; what that explains is left out.

    Raises:
        ValueError: there are fewer than four, or all are of one moment.
    """
    count = min(_BLOCKS, len(samples))
    if count < 4:
        raise ValueError(f"{len(samples)} samples are too few; four are needed")
    bounds = [round(index * len(samples) / count) for index in range(count + 1)]
    blocks = [slice(start, end) for start, end in itertools.pairwise(bounds)]
    times = _centred([fmean(time for time, _ in samples[block]) for block in blocks])
    means = [fmean(value for _, value in samples[block]) for block in blocks]
    values = _centred(means)
    freedom = count - 2
    others = _centred([fmean(beside[block]) for block in blocks]) if beside else []
    if any(others):
        times, values = _without(times, others), _without(values, others)
        freedom -= 1
    spread = _product(times, times)
    if spread <= 0:
        raise ValueError("all samples are of one moment")
    slope = _product(times, values) / spread
    rest = sum((value - slope * time) ** 2 for time, value in zip(times, values, strict=True))
    margin = _T95[freedom - 1] * math.sqrt(rest / freedom / spread)
    seconds = samples[-1][0] - samples[0][0]
    return Slope(
        per_hour=slope * 3600,
        margin=margin * 3600,
        first=fmean(means) - slope * seconds / 2,
        last=fmean(means) + slope * seconds / 2,
        seconds=seconds,
    )


def _centred(values: Sequence[float]) -> list[float]:
    middle = fmean(values)
    return [value - middle for value in values]


def _product(first: Sequence[float], second: Sequence[float]) -> float:
    return sum(one * other for one, other in zip(first, second, strict=True))


def _without(values: Sequence[float], others: Sequence[float]) -> list[float]:
    share = _product(values, others) / _product(others, others)
    return [value - share * other for value, other in zip(values, others, strict=True)]
