"""Decides which fault comes when: by a seed, the same ones in the same order; or by the log of another campaign."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Step", "drawn", "read_log", "written"]


@dataclass(frozen=True)
class Step:
    """A fault that is to come.

    Args:
        at_s: seconds since the beginning; it comes later if the one before has not ended.
        fault: its name.
        dice: the seed of all that is left to chance in it.
    """

    at_s: float
    fault: str
    dice: int


def drawn(seed: int, weights: Mapping[str, float], every_s: float) -> Iterator[Step]:
    """Faults without an end, by the seed alone: neither what they do nor how long they take changes the next one."""
    dice = random.Random(seed)
    names, shares = list(weights), list(weights.values())
    at_s = 0.0
    while True:
        at_s += dice.expovariate(1 / every_s)
        yield Step(round(at_s, 3), dice.choices(names, shares)[0], dice.getrandbits(32))


def written(step: Step) -> str:
    """As a line of the log."""
    return json.dumps(asdict(step))


def read_log(path: Path, known: Iterable[str]) -> list[Step]:
    """The faults of a log, in order; lines may have been taken out of it, to find those that matter.

    Raises:
        ValueError: a line is none, or its fault is unknown.
    """
    steps = []
    names = set(known)
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            fields = json.loads(line)
            step = Step(float(fields["at_s"]), str(fields["fault"]), int(fields["dice"]))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"line {number} of {path} is none of a fault: {line[:80]}") from None
        if step.fault not in names:
            raise ValueError(f"line {number} of {path}: there is no fault {step.fault}")
        steps.append(step)
    return sorted(steps, key=lambda step: step.at_s)
