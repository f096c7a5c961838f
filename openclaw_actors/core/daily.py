"""Decides whether somebody may still have a model called today, and counts what was used."""

from __future__ import annotations

from collections.abc import Mapping

from openclaw_actors.messages.events import Usage

__all__ = ["DayBudget", "DayTotals", "day_of"]

_DAY_S = 86_400
_MAX_PRINCIPALS = 100_000
_EACH = "You have reached today's token budget ({used:,}/{budget:,} tokens). Please come back tomorrow."
_ALL = (
    "This gateway has reached today's token budget ({used:,}/{budget:,} tokens). Please come back tomorrow."
)


def day_of(now: float) -> int:
    """The day in UTC, numbered from 1970.

    Args:
        now: Unix time, seconds.
    """
    return int(now // _DAY_S)


class DayTotals:
    """What each principal has used on one day. A clock that is set back does not bring the day before back."""

    def __init__(self) -> None:
        self.day = 0
        self.principals: dict[str, int] = {}
        """Tokens, in and out."""
        self.total = 0

    def add(self, principal: str, tokens: int, now: float) -> None:
        """Somebody used so many."""
        self.begin(now)
        self.total += tokens
        if principal in self.principals or len(self.principals) < _MAX_PRINCIPALS:
            self.principals[principal] = self.principals.get(principal, 0) + tokens

    def begin(self, now: float) -> None:
        """Begin another day, if one has begun."""
        day = day_of(now)
        if day > self.day:
            self.day, self.principals, self.total = day, {}, 0


class DayBudget:
    """The budgets of a day, and what is used of them.

    Args:
        each: tokens that one principal may use a day; 0: unlimited.
        all_: tokens that all of them may; 0: unlimited.
    """

    def __init__(self, *, each: int, all_: int) -> None:
        self.each = each
        self.all = all_
        self._used = DayTotals()

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self.each or self.all)

    def learn(self, day: int, principals: Mapping[str, int], total: int) -> None:
        """What the ledger says. It knows what was used before our time, and we what has not been written yet."""
        self._used.begin(day * _DAY_S)
        if day < self._used.day:
            return
        self._used.total = max(self._used.total, total)
        for principal, tokens in principals.items():
            self._used.principals[principal] = max(self._used.principals.get(principal, 0), tokens)

    def spend(self, principal: str, usage: Usage, now: float) -> None:
        """A call was made."""
        self._used.add(principal, usage.total, now)

    def refusal(self, principal: str, now: float) -> str | None:
        """Why no call may be made for this principal now; None: it may."""
        self._used.begin(now)
        used = self._used.principals.get(principal, 0)
        if self.each and used >= self.each:
            return _EACH.format(used=used, budget=self.each)
        if self.all and self._used.total >= self.all:
            return _ALL.format(used=self._used.total, budget=self.all)
        return None
