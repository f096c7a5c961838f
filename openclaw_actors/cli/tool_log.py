"""Keeps the tool calls of a conversation: each is one line in it, and can be shown whole. Pure."""

from __future__ import annotations

__all__ = ["ToolLog"]

from collections import OrderedDict
from dataclasses import dataclass

from openclaw_actors.cli.effects import ToolBegan, ToolEnded
from openclaw_actors.cli.plain import number_in, one_line, shortened

MOST_CALLS = 100
MOST_CHARS = 100_000
"""Of a call's arguments, and of its result."""

SHORT = 120
"""Characters of what is shown of a text in one line of its own."""

_OK = ("ok", "completed")


@dataclass(slots=True)
class _Call:
    number: int
    name: str
    arguments: str
    status: str = ""
    """Empty: it has not ended."""
    text: str = ""


class ToolLog:
    """The newest tool calls, numbered from 1 in the order in which they began."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._count = 0

    def began(self, began: ToolBegan) -> str:
        """The line for a call that begins."""
        call = self._calls.get(began.call_id)
        if call is None:
            self._count += 1
            call = _Call(self._count, began.name, "")
            self._calls[began.call_id] = call
            while len(self._calls) > MOST_CALLS:
                self._calls.popitem(last=False)
        call.arguments, call.status, call.text = _cut(began.arguments), "", ""
        return f"[{call.number} {one_line(call.name)} {shortened(call.arguments, SHORT)}]"

    def ended(self, ended: ToolEnded) -> str:
        """The line for a call that has ended; empty for one whose result needs no word."""
        call = self._calls.get(ended.call_id)
        if call is None:
            return "" if ended.status in _OK else f"[{one_line(ended.name)}: {ended.status}]"
        call.status, call.text = ended.status, _cut(ended.text)
        result = shortened(call.text, SHORT)
        if ended.status in _OK and not result:
            return ""
        status = "" if ended.status in _OK else f" {ended.status}:"
        return f"[{call.number}{status} {result or one_line(call.name)}]"

    def show(self, number: str) -> str:
        """What `/tool` answers.

        Args:
            number: of the call, as the person wrote it; empty: the newest.
        """
        calls = {call.number: call for call in self._calls.values()}
        if not calls:
            return "(no tool has run since this chat began)"
        wanted = number_in(number) if number else max(calls)
        call = calls.get(wanted) if wanted is not None else None
        if call is None:
            return f"/tool needs the number of a call, {min(calls)} to {max(calls)}: {one_line(number)!r} is none"
        status = call.status or "has not ended"
        result = f"{status}:\n{call.text}" if call.text else status
        return f"tool call {call.number}: {one_line(call.name)}\n{call.arguments}\n{result}"


def _cut(text: str) -> str:
    more = len(text) - MOST_CHARS
    return text if more <= 0 else f"{text[:MOST_CHARS]}\n(… {more:,} characters more)"
