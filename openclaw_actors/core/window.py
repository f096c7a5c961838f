"""Decides which ended turns stand in the window that the model is given, and what a summary takes the place of."""

from __future__ import annotations

from openclaw_actors.messages.history import HistoryTurn

__all__ = ["MOST_WINDOW_CHARS", "chars_of", "compact_window", "trim_window", "turns_in", "window_chars"]


MOST_WINDOW_CHARS = 4_000_000
"""Of the ended turns that reach the model, about a million tokens and at most 16 MB: the state and every prompt travel
in one message between processes. The oldest turns go first, the newest one always stays; the store keeps them all."""


def chars_of(turn: HistoryTurn) -> int:
    """How many characters the model is given of a turn."""
    if not turn.steps:
        return len(turn.user) + len(turn.answer)
    steps = sum(
        len(step.text)
        + sum(len(call.arguments) for call in step.calls)
        + sum(len(outcome.text) for outcome in step.outcomes.values())
        + sum(len(text) for text in step.said)
        for step in turn.steps
    )
    return len(turn.user) + len(turn.answer) + steps


def turns_in(window: list[HistoryTurn]) -> int:
    """How many turns stand there themselves; a summary is none."""
    return len(window) - _first_turn(window)


def trim_window(window: list[HistoryTurn], window_turns: int, chars: int | None = None) -> int:
    """Lets go of the oldest turns beyond the limits of number and size; a summary of older ones stays in front.

    Args:
        chars: how many there are of all turns, if that is known: then the cost is that of what is let go of.

    Returns:
        How many there are of those that stay.
    """
    first = _first_turn(window)
    if chars is None:
        chars = window_chars(window)
    end = max(first, len(window) - window_turns)
    chars -= sum(map(chars_of, window[first:end]))
    while chars > MOST_WINDOW_CHARS and end < len(window) - 1:
        chars -= chars_of(window[end])
        end += 1
    del window[first:end]
    return chars


def window_chars(window: list[HistoryTurn]) -> int:
    """How many characters there are of all turns that stand there themselves."""
    return sum(map(chars_of, window[_first_turn(window) :]))


def compact_window(window: list[HistoryTurn], *, newer: int, turns: int, text: str) -> None:
    """Puts a summary in the place of all turns but the newest.

    Args:
        newer: how many turns are newer than what the summary is of.
        turns: how many it is of.
    """
    kept = window[max(_first_turn(window), len(window) - newer) :]
    window[:] = [
        HistoryTurn(user="", steps=[], answer=text, status="completed", stands_for=turns),
        *kept,
    ]


def _first_turn(window: list[HistoryTurn]) -> int:
    return 1 if window and window[0].stands_for else 0
