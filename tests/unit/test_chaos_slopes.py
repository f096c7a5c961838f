"""What a soak makes of its samples: a leak is found in noise, and noise is no leak."""

from __future__ import annotations

import random

import pytest

from chaos.slopes import slope_of

MB = 1024 * 1024


def samples(per_second: float, noise: float, seed: int) -> list[tuple[float, float]]:
    dice = random.Random(seed)
    return [(float(time), 50 * MB + time * per_second + dice.gauss(0, noise)) for time in range(600)]


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_is_found_in_noise_and_measured(seed: int) -> None:
    slope = slope_of(samples(10_000, MB, seed))
    assert slope.grows(2 * MB)
    assert abs(slope.per_hour - 36_000_000) < 3 * slope.margin
    assert slope.last - slope.first == pytest.approx(slope.per_hour * slope.seconds / 3600)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_leak(seed: int) -> None:
    assert not slope_of(samples(0, 4 * MB, seed)).grows(2 * MB)
    assert not slope_of(samples(-10_000, MB, seed)).grows(2 * MB)


def test_what_is_surely_little_is_no_leak() -> None:
    assert not slope_of(samples(100, 0, 1)).grows(2 * MB)


def test_a_line_of_its_own_has_no_margin() -> None:
    slope = slope_of([(time, 3.0 + 2.0 * time) for time in (0.0, 1.0, 2.0, 3.0)])
    assert (slope.per_hour, slope.margin) == (pytest.approx(7200), pytest.approx(0, abs=1e-6))


def test_what_goes_with_something_else_is_no_leak() -> None:
    dice = random.Random(3)
    awake = [time / 50 + dice.gauss(0, 2) for time in range(600)]
    values = [(float(time), 20 + 2 * each + dice.gauss(0, 0.1)) for time, each in enumerate(awake)]
    assert slope_of(values).grows(1.0)
    assert not slope_of(values, awake).grows(1.0)
    leaking = [(time, value + time / 100) for time, value in values]
    assert slope_of(leaking, awake).grows(1.0)


@pytest.mark.parametrize("few", [[], [(1.0, 1.0)] * 3, [(1.0, 1.0)] * 5])
def test_too_little_to_say_anything_is_an_error(few: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"few|moment"):
        slope_of(few)
