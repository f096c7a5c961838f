"""Whom faults may befall, and what a fault is."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from chaos.client import Talker
from chaos.gateway import Gateway
from chaos.processes import named

__all__ = ["Fault", "Scene"]


@dataclass
class Scene:
    """Whom faults may befall.

    Args:
        dice: of the next fault alone; how many of them it uses makes no other one different.
        complaints: what the gateway's own programs did that they must not do, whatever befalls the gateway.
    """

    gateway: Gateway
    talkers: Sequence[Talker]
    dice: random.Random
    complaints: list[str] = field(default_factory=list)

    def one_of(self, name: str) -> int | None:
        """A process with this name; one of them by the dice, of which it always uses one. None: there is none."""
        share = self.dice.random()
        if name == "start":
            return self.gateway.pid or None
        pids = sorted(named(self.gateway.processes(), name))
        return pids[int(share * len(pids))] if pids else None


Fault = Callable[[Scene], Awaitable[str]]
"""Does it, and says what was done."""
