"""Keeps what was said and what was heard of it, and judges whether every promise was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_actors.core.refusals import QUARANTINED

__all__ = ["Conversation", "Message", "Promise", "given_up", "judge"]

DURABLE = frozenset(("message_accepted", "turn_started", "tool_start", "tool_result", "turn_done"))


@dataclass
class Message:
    """One message, from the first time that it was sent."""

    id: str
    text: str
    sent_at: float
    """Monotonic seconds, like the others."""
    sends: int = 0
    accepted_at: float | None = None
    done_at: float | None = None
    refused: str | None = None
    """A refusal after which it is not sent again."""
    spoiled: bool = False
    """The provider gave no good answer: it may have failed, but not have ended well with anything else."""
    may_fail: bool = False
    """It asks for a fault of its own conversation."""


@dataclass
class Conversation:
    """One session as its client knows it, through all of its connections."""

    id: str
    messages: dict[str, Message] = field(default_factory=dict)
    """In the order in which they were said."""
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Durable events, by number."""
    contradictions: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def last_seq(self) -> int:
        """Up to which number all is known."""
        seq = 0
        while seq + 1 in self.events:
            seq += 1
        return seq

    @property
    def open(self) -> list[Message]:
        """What was said and has no end yet."""
        return [each for each in self.messages.values() if each.done_at is None and each.refused is None]

    def heard(self, event: dict[str, Any], now: float) -> None:
        """Takes in an event; one that contradicts an earlier one is kept as a contradiction."""
        if event["type"] not in DURABLE:
            return
        plain = {name: value for name, value in event.items() if name != "duplicate"}
        known = self.events.setdefault(plain["seq"], plain)
        if _essence(known) != _essence(plain):
            self.contradictions.append(f"number {plain['seq']} was {known}, and then {plain}")
        message = self.messages.get(str(event.get("messageId")))
        if message is None:
            return
        if event["type"] == "message_accepted" and message.accepted_at is None:
            message.accepted_at = now
        elif event["type"] == "turn_done" and message.done_at is None:
            message.done_at = now


def _essence(event: dict[str, Any]) -> dict[str, Any]:
    """What must be the same however often an event is told."""
    return {name: value for name, value in event.items() if name not in ("busy",)}


@dataclass(frozen=True)
class Promise:
    """What was promised, and where it was broken."""

    name: str
    broken: Sequence[str]

    @property
    def kept(self) -> bool:
        return not self.broken


def given_up(conversations: Sequence[Conversation], replayed: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Messages that asked for no fault and were given up as if they had: their conversation's process died twice."""
    found = []
    for each in conversations:
        ended = {event["messageId"]: event for event in replayed[each.id] if event["type"] == "turn_done"}
        for message in each.messages.values():
            if not message.may_fail and (
                message.refused == "quarantined" or _is_quarantine(ended.get(message.id))
            ):
                found.append(f"{each.id}: {message.id} was given up")
    return found


def judge(
    conversations: Sequence[Conversation],
    replayed: dict[str, list[dict[str, Any]]],
    *,
    session_faults: int = 0,
) -> list[Promise]:
    """The verdict, promise by promise.

    Args:
        conversations: as their clients know them.
        replayed: what the gateway says of each of them from its first number on, when all was over.
        session_faults: so many befell processes of conversations; for any two of them one message may be given up.
    """
    lost, twice, disorder, memory = [], [], [], []
    lost += given_up(conversations, replayed)[session_faults // 2 :]
    for conversation in conversations:
        journal = replayed[conversation.id]
        memory += [f"{conversation.id}: {each}" for each in conversation.contradictions]
        seqs = [event["seq"] for event in journal]
        if seqs != list(range(1, len(seqs) + 1)):
            memory.append(f"{conversation.id}: the numbers of its journal are {seqs[:50]}")
        by_seq = {event["seq"]: event for event in journal}
        for seq, event in conversation.events.items():
            if _essence(by_seq.get(seq, {})) != _essence(event):
                memory.append(f"{conversation.id}: number {seq} was {event}, and is {by_seq.get(seq)}")
        accepted = [event["messageId"] for event in journal if event["type"] == "message_accepted"]
        ended = [event["messageId"] for event in journal if event["type"] == "turn_done"]
        lost += _lost(conversation, accepted, ended)
        for what, names in (("accepted", accepted), ("answered", ended)):
            for name, count in Counter(names).items():
                if count > 1:
                    twice.append(f"{conversation.id}: {name} was {what} {count} times")
        if ended != [name for name in accepted if name in set(ended)]:
            disorder.append(f"{conversation.id}: answered in the order {ended[:50]}")
        said = [name for name in conversation.messages if name in set(accepted)]
        if accepted != said:
            disorder.append(f"{conversation.id}: accepted in the order {accepted[:50]}")
        lost += _wrong_answers(conversation, journal)
    return [
        Promise("every accepted message is answered", lost),
        Promise("once", twice),
        Promise("in order", disorder),
        Promise("what was told stays true", memory),
    ]


def _lost(conversation: Conversation, accepted: Sequence[str], ended: Sequence[str]) -> list[str]:
    missing = [name for name in accepted if name not in set(ended)]
    found = [f"{conversation.id}: {name} was accepted and has no end" for name in missing]
    for message in conversation.messages.values():
        if message.accepted_at is not None and message.id not in accepted:
            found.append(f"{conversation.id}: the receipt of {message.id} was given, and it is gone")
        if message.refused is None and message.id not in ended:
            found.append(f"{conversation.id}: {message.id} was said {message.sends} times and has no end")
    return found


def _is_quarantine(event: dict[str, Any] | None) -> bool:
    return event is not None and event["status"] == "failed" and event["text"] == QUARANTINED


def _wrong_answers(conversation: Conversation, journal: Sequence[dict[str, Any]]) -> list[str]:
    wrong = []
    for event in journal:
        message = conversation.messages.get(str(event.get("messageId")))
        if event["type"] != "turn_done" or message is None or message.may_fail:
            continue
        if (message.spoiled and event["status"] == "failed") or _is_quarantine(event):
            continue
        if event["status"] != "completed" or (
            message.text.startswith("say ") and event["text"] != f"echo: {message.text}"
        ):
            wrong.append(
                f"{conversation.id}: {message.id} ended {event['status']} with {event['text'][:80]!r}"
            )
    return wrong
