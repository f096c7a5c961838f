"""One measured figure beside its target, and the table of them."""

from __future__ import annotations

__all__ = ["Row", "as_json", "markdown", "median"]

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        name: what was measured.
        value: the median of the runs.
        unit: of value and target.
        target: at most, or at least, that much; None for a figure without a target.
        at_least: whether more is better.
        runs: the single values.
        beside: what it ran beside, and the ratio.
        digits: behind the point.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    runs: Sequence[float] = ()
    beside: str = ""
    digits: int = 1

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def median(values: Sequence[float]) -> float:
    """The middle of the runs."""
    return statistics.median(values)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | target | | of runs | beside it |", "|---|--:|--:|---|---|---|"]
    lines += [_line(row) for row in rows]
    return "\n".join(lines)


def _line(row: Row) -> str:
    target = ""
    if row.target is not None:
        target = f"{'≥' if row.at_least else '≤'} {row.target:g} {row.unit}"
    verdict = {True: "ok", False: "**missed**", None: ""}[row.reached]
    runs = ""
    if len(row.runs) > 1:
        low, high = min(row.runs), max(row.runs)
        runs = f"{len(row.runs)}: {low:,.{row.digits}f} to {high:,.{row.digits}f}"
    measured = f"{row.value:,.{row.digits}f} {row.unit}"
    return f"| {row.name} | {measured} | {target} | {verdict} | {runs} | {row.beside} |"


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for programs."""
    return [{**asdict(row), "reached": row.reached} for row in rows]
