"""Counts messages, turns and tools by the records that stand for them, so that each is counted once.

A record is stored once, whoever dies around it: what the store takes is what happened.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.metrics import METRICS, TOOL_STATUSES, channel_label
from openclaw_actors.core.records import Record, ToolFinished, TurnEnded, UserSaid
from openclaw_actors.core.series import Histogram, series, split_series

__all__ = ["MAX_NAMES", "UNKNOWN_TOOL", "TurnMeter"]

MAX_NAMES = 100
"""Tools, and channels, that are counted under their own name; further ones are `other`."""

UNKNOWN_TOOL = "Error: Unknown tool"
"""What a tool that does not exist has answered."""

_OTHER = "other"


class TurnMeter:
    """What records say of the gateway's work.

    Args:
        values: where it is counted.
    """

    def __init__(self, values: MutableMapping[str, float]) -> None:
        self._values = values
        self._names: dict[str, set[str]] = {"tool": set(), "channel": set()}
        for key in values:
            for label, value in split_series(key)[1]:
                self._names.setdefault(label, set()).add(value)
        bounds = {metric.name: metric.bounds for metric in METRICS}
        self._seconds = Histogram(values, "turn_seconds", bounds["turn_seconds"])
        self._overhead = Histogram(values, "turn_overhead_seconds", bounds["turn_overhead_seconds"])

    def note(self, state: Conversation, record: Record, now: float) -> None:
        """A record is stored.

        Args:
            state: the conversation before it.
            now: Unix time, seconds.
        """
        match record:
            case UserSaid():
                channel = channel_label(state.key, record.channel)
                self._count("messages_accepted_total", channel=self._known("channel", channel))
            case ToolFinished():
                self._count_tool(record)
            case TurnEnded():
                self._count("turns_total", status=record.status)
                self._time(state, record, now)

    def _time(self, state: Conversation, record: TurnEnded, now: float) -> None:
        began_at = next(
            (open_.began_at for open_ in state.open if open_.message_id == record.message_id), 0.0
        )
        if not began_at:
            return  # it waited, and was ended without having begun
        seconds = now - began_at
        self._seconds.observe(seconds)
        if record.waited_seconds is not None:
            self._overhead.observe(seconds - record.waited_seconds)

    def _count_tool(self, record: ToolFinished) -> None:
        tool = "unknown" if record.text == UNKNOWN_TOOL else self._known("tool", record.name)
        status = record.status if record.status in TOOL_STATUSES else _OTHER
        self._count("tool_calls_total", tool=tool, status=status)

    def _known(self, kind: str, name: str) -> str:
        """The name, or `other` once there are too many: the model, for one, can invent names without end."""
        names = self._names[kind]
        if name not in names and len(names) >= MAX_NAMES:
            return _OTHER
        names.add(name)
        return name

    def _count(self, name: str, **labels: str) -> None:
        self._values[series(name, **labels)] += 1
