"""What the channels' actors share: how often they look at their deadlines, and how they count in words."""

from __future__ import annotations

__all__ = ["LONGEST_TICK_S", "connections_in_words", "tick_s"]

LONGEST_TICK_S = 0.5
_SHORTEST_TICK_S = 0.05


def tick_s(*timeouts_s: float) -> float:
    """How often to look, seconds, so that none of these timeouts is missed by much."""
    return max(_SHORTEST_TICK_S, min(LONGEST_TICK_S, *(timeout_s / 4 for timeout_s in timeouts_s)))


def connections_in_words(count: int) -> str:
    """So many connections, for a person."""
    return "1 connection" if count == 1 else f"{count} connections"
