"""What must be in a store: as asked for and confirmed until a moment, with what was under way at that moment."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.records import NumbersSkipped, Record, TurnEnded

__all__ = ["WINDOW_TURNS", "Archived", "Expected", "Talk", "state_of"]

WINDOW_TURNS = 3


@dataclass(frozen=True)
class Archived:
    """A conversation in the archive."""

    records: tuple[Record, ...]
    before: int
    branches: tuple[str, ...]


@dataclass(frozen=True)
class Talk:
    """One key's conversation, and what was archived of it."""

    records: tuple[Record, ...] = ()
    before: int = 0
    """Number of the last event before this conversation's first."""
    seq: int = 0
    """Of the last event under this key."""
    branches: tuple[str, ...] = ()
    archives: tuple[tuple[str, Archived], ...] = ()
    """By name."""
    sent: tuple[int, ...] = ()
    """Replies that have left."""

    def said(self, records: Sequence[Record]) -> Talk:
        """After an append."""
        return replace(self, records=(*self.records, *records), seq=max(self.seq, _last(records)))

    def archived(self, name: str) -> Talk:
        """After it was archived."""
        gone = Archived(self.records, self.before, self.branches)
        return replace(
            self, records=(), before=self.seq, branches=(), archives=(*self.archives, (name, gone))
        )

    def restored(self, name: str) -> Talk:
        """After an archive came back; numbers that others had meanwhile are skipped."""
        back = dict(self.archives)[name]
        records = back.records
        if _last(records) < self.seq:
            records = (*records, NumbersSkipped(number=records[-1].number + 1, at=0.0, to_seq=self.seq))
        return replace(self.purged(name), records=records, before=back.before, branches=back.branches)

    def purged(self, name: str) -> Talk:
        """After an archive was removed for good."""
        return replace(self, archives=tuple(each for each in self.archives if each[0] != name))

    @property
    def to_send(self) -> list[int]:
        """Replies that have to leave still."""
        ends = [each.seq for each in self.records if isinstance(each, TurnEnded) and each.text]
        return [seq for seq in ends if seq not in self.sent]


def _last(records: Sequence[Record]) -> int:
    return max((max(getattr(each, "seq", 0), getattr(each, "to_seq", 0)) for each in records), default=0)


def state_of(key: str, talk: Talk) -> Any:
    """The state that the store must find, as something that compares equal for equal states."""
    state = Conversation(key=key, seq=talk.before)
    for record in talk.records:
        apply(state, record, window_turns=WINDOW_TURNS)
    return msgspec.to_builtins(state)


Change = Callable[[Any], Any]


@dataclass
class Expected:
    """Each thing's value as confirmed, and the values that it may have by now, by name."""

    sure: dict[Hashable, Any] = field(default_factory=dict)
    under_way: dict[Hashable, list[Any]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    """The newest of each session."""

    def begin(self, thing: Hashable, *changes: Change) -> None:
        """These changes are asked for, one after the other; each may have been made from now on."""
        value, values = self.sure[thing], []
        for change in changes:
            value = change(value)
            values.append(value)
        self.under_way[thing] = values

    def end(self, thing: Hashable) -> None:
        """They were confirmed."""
        self.sure[thing] = self.under_way.pop(thing)[-1]

    def possible(self, thing: Hashable) -> list[Any]:
        """The values that it may have."""
        return [self.sure[thing], *self.under_way.get(thing, ())]

    def copy(self) -> Expected:
        """As it is now."""
        return Expected(dict(self.sure), dict(self.under_way), dict(self.tokens))
