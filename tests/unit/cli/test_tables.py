"""Checks how amounts and names are printed."""

from __future__ import annotations

import pytest

from openclaw_actors.cli.tables import age, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_700, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-1, "0 s"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (14_200_000, "14.2 MB"), (5 * 10**12, "5000.0 GB")],
)
def test_sizes(amount: int, text: str) -> None:
    assert size(amount) == text
