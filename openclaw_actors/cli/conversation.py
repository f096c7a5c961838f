"""Decides what a client of one session sends and shows, across any number of connections. Pure: no sockets, no screen.

Whatever is cut and resumed, each durable event counts once, each piece of an answer is shown once, and a message of
ours is sent again, under its id, until the gateway has said that it has it.
"""

from __future__ import annotations

__all__ = ["Conversation", "RefusedMessage"]

import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_actors.cli.effects import (
    AnswerBegan,
    AnswerRestarted,
    AnswerText,
    ApprovalAsked,
    Effect,
    Event,
    Frame,
    MessageTaken,
    Noticed,
    Refused,
    Seen,
    ToolBegan,
    ToolEnded,
    TurnEnded,
)

REMEMBERED_TURNS = 1_024
"""So many ended messages are remembered, to know a repetition when it comes."""

REMEMBERED_REFUSALS = 64

_CONFLICT = "message_id_conflict"
_TRY_AGAIN = frozenset(("busy", "rate_limited", "not_accepted", "draining", "persistence_failed", _CONFLICT))
"""Refusals that say nothing against the message itself."""


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message of ours that the gateway did not take."""

    text: str
    code: str

    @property
    def again(self) -> bool:
        """Whether it is worth being sent again."""
        return self.code in _TRY_AGAIN


@dataclass(slots=True)
class _Mine:
    """A message of ours whose turn has not ended."""

    text: str
    taken: bool = False
    queued: int = 0
    """How many were before it when it was taken."""
    repeated: bool = False
    """The gateway answered a repetition of it: its events may come out of order."""


@dataclass(slots=True)
class _Running:
    """The answer that is being shown."""

    turn_id: str
    attempt: int
    shown: str = ""


@dataclass(slots=True)
class Conversation:
    """One session, as its client sees it.

    Args:
        session: its id.
        follow: follow the session from the first connection on, not only from the first message.
        new_id: makes message ids.
    """

    session: str
    follow: bool = False
    new_id: Callable[[], str] = field(default=lambda: uuid.uuid4().hex)
    last_seq: int | None = None
    _connections: int = 0
    _connected: bool = False
    _mine: dict[str, _Mine] = field(default_factory=dict)
    _refusals: OrderedDict[str, RefusedMessage] = field(default_factory=OrderedDict)
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _running: _Running | None = None
    _message_of_turn: OrderedDict[str, str] = field(default_factory=OrderedDict)

    # What the person does

    def say(self, text: str) -> tuple[str, list[Effect]]:
        """A new message; returns its id and what to do."""
        message_id = self.new_id()
        self._mine[message_id] = _Mine(text)
        return message_id, [self._message(message_id)] if self._connected else []

    @property
    def refused(self) -> Sequence[RefusedMessage]:
        """Messages of ours that were not taken, oldest first; not all of very many."""
        return tuple(self._refusals.values())

    def say_again(self, message: RefusedMessage) -> list[Effect]:
        """Send one of `refused` again: under its id, so that it cannot be answered twice, unless that is spent."""
        message_id = next(each for each, known in self._refusals.items() if known is message)
        del self._refusals[message_id]
        if message.code == _CONFLICT:
            message_id = self.new_id()
        self._mine[message_id] = _Mine(message.text)
        return [self._message(message_id)] if self._connected else []

    def stop(self, *, queue: bool = False) -> list[Effect]:
        """End the running turn; with `queue` also what waits."""
        return self._if_connected({"type": "stop", "sessionId": self.session, "queue": queue})

    def decide(self, approval_id: str, *, approved: bool) -> list[Effect]:
        """Answer the question whether a tool may run."""
        frame = {"type": "tool_approval_decision", "approvalId": approval_id, "approved": approved}
        return self._if_connected(frame)

    def _if_connected(self, body: dict[str, Any]) -> list[Effect]:
        return [Frame(body=body)] if self._connected else []

    @property
    def fates(self) -> list[tuple[str, str]]:
        """Messages of ours without an answer, oldest first, and what has become of each."""
        return [(mine.text, self._fate(message_id, mine)) for message_id, mine in self._mine.items()]

    def _fate(self, message_id: str, mine: _Mine) -> str:
        if not mine.taken:
            return "on its way" if self._connected else "goes out when the connection stands"
        running = self._running is not None and self._message_of_turn.get(self._running.turn_id)
        return "is being answered" if running == message_id else "waits for its turn"

    @property
    def waiting(self) -> int:
        """How many messages of ours have no answer yet."""
        return len(self._mine)

    @property
    def untaken(self) -> int:
        """How many messages of ours have no receipt."""
        return sum(not mine.taken for mine in self._mine.values())

    @property
    def answering(self) -> bool:
        """Whether a turn of this session is running, or one of ours is about to."""
        return self._running is not None or bool(self._mine)

    @property
    def answering_mine(self) -> bool:
        """Whether the running turn answers a message of ours."""
        return self._running is not None and self._is_mine(self._running.turn_id)

    # What the connection does

    def connected(self) -> list[Effect]:
        """A connection stands: follow the session, and send what the gateway does not have for sure."""
        self._connected = True
        self._connections += 1
        effects: list[Effect] = []
        if self.follow or self._connections > 1:
            resume: dict[str, Any] = {"type": "resume", "sessionId": self.session}
            if self.last_seq is not None:
                resume["lastSeq"] = self.last_seq
            effects.append(Frame(body=resume))
        effects.extend(
            self._message(message_id) for message_id, mine in self._mine.items() if self._unsure(mine)
        )
        return effects

    def _unsure(self, mine: _Mine) -> bool:
        """Without a number to resume from, an answer may have been missed: asking again brings it."""
        return not mine.taken or self.last_seq is None

    def disconnected(self) -> None:
        """The connection is lost."""
        self._connected = False

    def abandon(self, code: str, text: str) -> list[Effect]:
        """Give up what the gateway has not taken, since it will not take it however often it is sent."""
        lost = [message_id for message_id, mine in self._mine.items() if not mine.taken]
        return [self._not_taken(message_id, code, text) for message_id in lost]

    def _not_taken(self, message_id: str, code: str, text: str) -> Refused:
        refused = RefusedMessage(self._mine.pop(message_id).text, code)
        self._refusals[message_id] = refused
        while len(self._refusals) > REMEMBERED_REFUSALS:
            self._refusals.popitem(last=False)
        return Refused(code=code, text=text, message_id=message_id, again=refused.again)

    def _message(self, message_id: str) -> Frame:
        body = {
            "type": "user_message",
            "sessionId": self.session,
            "text": self._mine[message_id].text,
            "messageId": message_id,
        }
        return Frame(body=body)

    # What the gateway says

    def received(self, event: Event) -> list[Effect]:
        """An event came. Raises KeyError or TypeError if it is not one of the protocol."""
        if event.get("sessionId", self.session) != self.session:
            return []
        match event["type"]:
            case "message_accepted":
                return self._accepted(event)
            case "turn_started":
                return self._if_new(event, self._turn_started)
            case "assistant_chunk":
                return self._chunk(event)
            case "tool_start":
                return self._if_new(event, self._tool_began)
            case "tool_result":
                return self._if_new(event, self._tool_ended)
            case "tool_approval_required":
                return self._if_new(event, self._approval_asked)
            case "turn_done":
                return self._turn_done(event)
            case "notice":
                return [Seen(event=event), Noticed(code=event["code"], text=event["text"])]
            case "error":
                return self._refused(event)
        return []

    def _if_new(self, event: Event, show: Callable[[Event], list[Effect]]) -> list[Effect]:
        if self._known(event):
            return []
        self._advance(event)
        return [Seen(event=event), *show(event)]

    def _known(self, event: Event) -> bool:
        return self.last_seq is not None and event["seq"] <= self.last_seq

    def _advance(self, event: Event) -> None:
        self.last_seq = max(self.last_seq or 0, event["seq"])

    def _accepted(self, event: Event) -> list[Effect]:
        message_id = event["messageId"]
        if message_id in self._ended:
            # A repetition brought its end before what was missed is replayed.
            if not event.get("duplicate"):
                self._advance(event)
            return []
        if (refused := self._refusals.pop(message_id, None)) is not None:
            self._mine[message_id] = _Mine(refused.text)  # it was on its way all the same
        mine = self._mine.get(message_id)
        first = not (mine.taken if mine else self._known(event))
        if event.get("duplicate"):
            # The answer to a repetition: its number is an old one and says nothing about what else was seen.
            if mine is not None:
                mine.repeated = True
        elif self._known(event) and not (mine and not mine.taken):
            return []
        else:
            self._advance(event)
        if mine is not None:
            mine.taken = True
            mine.queued = event.get("queued", 0)
        if not first:
            return []
        taken = MessageTaken(
            message_id=message_id, text=event["text"], queued=event.get("queued", 0), mine=mine is not None
        )
        return [Seen(event=event), taken]

    def _turn_started(self, event: Event) -> list[Effect]:
        self._remember(self._message_of_turn, event["turnId"], event["messageId"])
        if event["messageId"] in self._ended:
            return []
        mine = self._mine.get(event["messageId"])
        waited = mine is not None and mine.queued and event["attempt"] == 1
        began: list[Effect] = [AnswerBegan(text=mine.text)] if mine is not None and waited else []
        return [*began, *self._attempt(event["turnId"], event["attempt"])]

    def _attempt(self, turn_id: str, attempt: int) -> list[Effect]:
        """Turn to the attempt that an event speaks of."""
        running = self._running
        if running is not None and running.turn_id == turn_id and running.attempt >= attempt:
            return []
        restarted = running is not None and running.turn_id == turn_id and bool(running.shown)
        self._running = _Running(turn_id, attempt)
        return [AnswerRestarted(mine=self._is_mine(turn_id))] if restarted else []

    def _chunk(self, event: Event) -> list[Effect]:
        turn_id, attempt, offset, text = (event[name] for name in ("turnId", "attempt", "offset", "text"))
        if self._message_of_turn.get(turn_id, "") in self._ended:
            return []
        effects = self._attempt(turn_id, attempt)
        running = self._running
        if running is None or running.attempt != attempt or offset > len(running.shown):
            return effects  # of an attempt that is void, or after a gap that the end of the turn will fill
        new = text[len(running.shown) - offset :]
        if not new:
            return effects
        running.shown += new
        return [*effects, Seen(event=event), AnswerText(text=new, mine=self._is_mine(turn_id))]

    def _tool_began(self, event: Event) -> list[Effect]:
        return [
            ToolBegan(
                call_id=event["callId"],
                name=event["name"],
                arguments=event["arguments"],
                mine=self._is_mine(event["turnId"]),
            )
        ]

    def _tool_ended(self, event: Event) -> list[Effect]:
        return [
            ToolEnded(
                call_id=event["callId"],
                name=event["name"],
                status=event["status"],
                text=event.get("text", ""),
                mine=self._is_mine(event["turnId"]),
            )
        ]

    def _approval_asked(self, event: Event) -> list[Effect]:
        return [
            ApprovalAsked(
                approval_id=event["approvalId"], name=event["name"], arguments=event.get("arguments", "")
            )
        ]

    def _turn_done(self, event: Event) -> list[Effect]:
        message_id = event["messageId"]
        mine = self._mine.pop(message_id, None)
        known = self._known(event)
        if mine is None or not mine.repeated or event["seq"] == (self.last_seq or 0) + 1:
            self._advance(event)
        if message_id in self._ended or (mine is None and known):
            return []
        self._remember(self._ended, message_id, None)
        self._remember(self._message_of_turn, event["turnId"], message_id)
        shown = self._end_running(event["turnId"])
        text = event.get("text", "")
        complete = text.startswith(shown)
        ended = TurnEnded(
            message_id=message_id,
            status=event["status"],
            rest=text[len(shown) :] if complete else "" if shown.endswith(text) else text,
            replaces=not complete and not shown.endswith(text),
            text=text,
            code=event.get("code"),
            mine=mine is not None,
        )
        return [Seen(event=event), ended]

    def _end_running(self, turn_id: str) -> str:
        """Nothing runs any more, if it was this turn; returns what was shown of it."""
        running = self._running
        if running is None or running.turn_id != turn_id:
            return ""
        self._running = None
        return running.shown

    def _refused(self, event: Event) -> list[Effect]:
        message_id, code, text = event.get("messageId"), event["code"], event["text"]
        mine = None if message_id is None else self._mine.get(message_id)
        if message_id is None or mine is None:
            return [Seen(event=event), Refused(code=code, text=text, message_id=message_id)]
        if mine.taken:  # and given up: the end of its turn follows
            return [Seen(event=event), Noticed(code=code, text=text)]
        return [Seen(event=event), self._not_taken(message_id, code, text)]

    def _is_mine(self, turn_id: str) -> bool:
        return self._message_of_turn.get(turn_id, "") in self._mine

    @staticmethod
    def _remember(table: OrderedDict[str, Any], key: str, value: Any) -> None:
        table[key] = value
        table.move_to_end(key)
        while len(table) > REMEMBERED_TURNS:
            table.popitem(last=False)
