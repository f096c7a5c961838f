"""Decides when a summary takes the place of older turns, of which ones, and what becomes of one that fails.

The summary is asked for beside everything else: messages, turns and stops go on meanwhile. It counts only where what
it is a summary of still stands there when it is recorded, and the journal keeps every turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from openclaw_actors.core.backoff import Backoff
from openclaw_actors.core.conversation import Conversation, OpenMessage
from openclaw_actors.core.drafts import turn_ended
from openclaw_actors.core.effects import CancelModel, Effect, SummariseHistory
from openclaw_actors.core.records import HistoryCompacted, HistoryRestored, Record
from openclaw_actors.core.window import chars_of, turns_in
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.model import CallFailed, Completed

__all__ = ["CompactionLimits", "Compactor", "older_part"]

_MAX_SUMMARY_CHARS = 20_000
_CUT = "…"
_FIRST_RETRY_S = 30.0
_LAST_RETRY_S = 3_600.0
_NOTHING = "There is nothing to compact: the history is short enough as it is."
_BUDGET = "This session has reached its token budget; nothing was compacted."
_DONE = "A summary of {chars:,} characters stands for {turns:,} older turns from now on."
_CHANGED = "The history was changed meanwhile; nothing was compacted."
_BLANK = "The model gave no summary; nothing was changed."
_FAILED = "Nothing was compacted: {reason}"
_LOST = "the model's actor was restarted. Please try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionLimits:
    """When a window is compacted."""

    automatic: bool = False
    """At the end of turns; a person can ask for it in any case."""
    threshold_turns: int = 40
    threshold_chars: int = 400_000
    keep_recent: int = 10
    """Turns that stay as they are, at most."""


def older_part(window: list[HistoryTurn], limits: CompactionLimits, *, asked: bool) -> int:
    """How many entries at the window's beginning a summary is to take the place of; 0: none.

    Args:
        asked: a person asks for it, so no threshold has to be passed.
    """
    turns = turns_in(window)
    lengths = [chars_of(turn) for turn in window]
    too_long = sum(lengths) > limits.threshold_chars
    if not (asked or too_long or turns > limits.threshold_turns):
        return 0
    keep = max(1, min(limits.keep_recent, turns // 2 if asked or too_long else turns))
    room = limits.threshold_chars // 2
    while keep > 1 and sum(lengths[-keep:]) > room:
        keep -= 1
    older = turns - keep
    return len(window) - keep if older > 0 else 0


@dataclass(slots=True)
class _Run:
    """A summary that is being made."""

    call_id: str
    up_to: int
    since: int
    turns: int


@dataclass(slots=True)
class Compactor:
    """The compaction of one conversation.

    Args:
        state: the conversation; it changes only as records are applied to it.
        token_budget: of the session; 0: unlimited.
        incarnation: of the session's process.
    """

    state: Conversation
    limits: CompactionLimits
    token_budget: int
    incarnation: int
    _run: _Run | None = None
    _runs: int = 0
    _asked: list[OpenMessage] = field(default_factory=list)
    _ends: list[Record] = field(default_factory=list)
    _backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_RETRY_S, _LAST_RETRY_S))
    _failed_at: float = 0.0
    _wait_s: float = 0.0

    @property
    def runs(self) -> bool:
        """A summary is being made, or its end is not yet on its way to the journal."""
        return self._run is not None or bool(self._ends)

    def waits_for(self, call_id: str) -> bool:
        """Whether this model call is the summary's."""
        return self._run is not None and self._run.call_id == call_id

    def turn_ended(self, correlation_id: str, now: float) -> list[Effect]:
        """Begins where the window has become too long, unless it failed just before."""
        waits = self._wait_s and 0.0 <= now - self._failed_at < self._wait_s
        if not self.limits.automatic or self._run is not None or waits or self._over_budget():
            return []
        older = older_part(self.state.window, self.limits, asked=False)
        return [self._begin(older, correlation_id)] if older else []

    def asked(self, message: OpenMessage) -> tuple[list[Record], list[Effect]]:
        """A person asks for it: what to record, and what to do. It is answered when the summary is there."""
        if self._run is not None:
            self._asked.append(message)
            return [], []
        if self._over_budget():
            return [turn_ended(message, "completed", _BUDGET)], []
        older = older_part(self.state.window, self.limits, asked=True)
        if not older:
            return [turn_ended(message, "completed", _NOTHING)], []
        self._asked.append(message)
        return [], [self._begin(older, message.correlation_id)]

    def done(self, answer: Completed, pending: Iterable[Record], now: float) -> list[Record]:
        """The summary is there: drafts of what to record.

        Args:
            pending: records that are not yet part of the state and come before these.
        """
        run, self._run = self._run, None
        if run is None:
            return []
        text = _cut(answer.text.strip())
        changed = run.since != self.state.restored_at or any(
            isinstance(each, HistoryRestored) for each in pending
        )
        told = _DONE.format(chars=len(text), turns=run.turns) if text else _BLANK
        if text:
            self._backoff.reset()
            self._wait_s = 0.0
        else:
            self._wait(now)
        compacted = _compacted(run, "" if changed else text, answer.usage)
        return [compacted, *self._answered(_CHANGED if changed else told)]

    def failed(self, failure: CallFailed, now: float) -> list[Record]:
        """There will be no summary now: nothing changes but the count of tokens."""
        run, self._run = self._run, None
        if run is None:
            return []
        self._wait(now)
        told = self._answered(_FAILED.format(reason=failure.text))
        if failure.usage == Usage():
            return told
        return [_compacted(run, "", failure.usage), *told]

    def lost(self, now: float) -> list[Record]:
        """The model's actor was replaced: the call will never be answered."""
        if self._run is None:
            return []
        self._run = None
        self._wait(now)
        return self._answered(_FAILED.format(reason=_LOST))

    def stop(self, now: float, *, automatic_only: bool = False) -> list[Effect]:
        """Ends it at once, if it runs, and for a while; `take_ends` has the drafts of what is to be recorded."""
        if self._run is None or (automatic_only and self._asked):
            return []
        call_id, self._run = self._run.call_id, None
        self._wait(now)
        self._ends += self._answered("", stopped=True)
        return [CancelModel(call_id)]

    def take_ends(self) -> list[Record]:
        """Drafts that a stop has left."""
        ends, self._ends = self._ends, []
        return ends

    def _begin(self, older: int, correlation_id: str) -> SummariseHistory:
        window = self.state.window
        self._runs += 1
        self._run = _Run(
            call_id=f"summary/{self.incarnation}/{self._runs}",
            up_to=self.state.turns - (len(window) - older),
            since=self.state.restored_at,
            turns=sum(turn.stands_for or 1 for turn in window[:older]),
        )
        return SummariseHistory(self._run.call_id, correlation_id, tuple(window[:older]))

    def _wait(self, now: float) -> None:
        self._failed_at, self._wait_s = now, self._backoff.next_delay_s()

    def _answered(self, text: str, *, stopped: bool = False) -> list[Record]:
        asked, self._asked = self._asked, []
        return [turn_ended(message, "stopped" if stopped else "completed", text) for message in asked]

    def _over_budget(self) -> bool:
        return bool(self.token_budget) and self.state.usage.total >= self.token_budget


def _compacted(run: _Run, text: str, usage: Usage) -> HistoryCompacted:
    return HistoryCompacted(
        number=0, at=0.0, text=text, up_to=run.up_to, turns=run.turns, since=run.since, usage=usage
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SUMMARY_CHARS else text[:_MAX_SUMMARY_CHARS] + _CUT
