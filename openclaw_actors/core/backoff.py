"""Decides how long to wait before the next try: exponential back-off with jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Backoff", "RandomSource"]


class RandomSource(Protocol):
    """The module `random`, or a generator of one's own."""

    def random(self) -> float:
        """A number from 0 up to 1."""


@dataclass(slots=True)
class Backoff:
    """Delays that grow by a factor up to a maximum.

    Args:
        initial_s: the first delay, in seconds.
        maximum_s: no delay is longer, jitter included.
        factor: how much longer each delay is than the one before.
        jitter: the part of a delay, 0 to 1, that is taken at random, so that many do not come back at once.
        random_source: where the jitter comes from; tests pass their own.
    """

    initial_s: float
    maximum_s: float
    factor: float = 2.0
    jitter: float = 0.1
    random_source: RandomSource = random
    tries: int = 0

    def next_delay_s(self) -> float:
        """The delay before the next try; each call counts as one."""
        grown = self.initial_s * self.factor ** min(self.tries, 64)
        self.tries += 1
        spread = 1.0 + self.jitter * (2.0 * self.random_source.random() - 1.0)
        return min(self.maximum_s, min(grown, self.maximum_s) * spread)

    def reset(self) -> None:
        """Starts again at the first delay."""
        self.tries = 0
