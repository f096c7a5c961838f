"""Makes records that are not numbered yet: number, seq and time are filled in when they are written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from openclaw_actors.core.conversation import Approval, Conversation, OpenMessage
from openclaw_actors.core.records import (
    ApprovalAsked,
    ApprovalDecided,
    AssistantSpoke,
    MessagesAbsorbed,
    Record,
    SettingsChanged,
    SubAgentCalled,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
    turn_id_of,
)
from openclaw_actors.core.turn import Turn
from openclaw_actors.messages.conversation import Deliver
from openclaw_actors.messages.events import TurnStatus, Usage
from openclaw_actors.messages.model import Completed, ToolCall

__all__ = [
    "MOST_QUESTIONS",
    "absorbed",
    "approval_asked",
    "approval_decided",
    "approval_mark",
    "asked_for_tools",
    "end_of",
    "ends_of",
    "numbered",
    "settings_changed",
    "sub_agent_called",
    "tool_finished",
    "tool_started",
    "turn_began",
    "turn_ended",
    "user_said",
]


MOST_QUESTIONS = 16
"""Tools of one answer that a person is asked about: each may be a text message to somebody's phone."""
_TOO_MANY_QUESTIONS = (
    f"Not run: a person is asked about {MOST_QUESTIONS} tools at a time. Ask for this one again when those are "
    "decided."
)


def user_said(deliver: Deliver, queued: int, *, command: bool = False, busy: str = "") -> UserSaid:
    """The message as its session takes it, behind `queued` others."""
    return UserSaid(
        number=0,
        at=0.0,
        seq=0,
        message_id=deliver.message_id,
        text=deliver.text,
        queued=queued,
        delivery_id=deliver.delivery_id,
        channel=deliver.channel,
        correlation_id=deliver.correlation_id,
        reply_to=deliver.reply_to,
        bound_to=deliver.bound_to,
        command=command,
        busy=busy,
    )


def turn_began(message_id: str, *, attempt: int, deaths: int = 0) -> TurnBegan:
    """An attempt to answer the message."""
    return TurnBegan(
        number=0,
        at=0.0,
        seq=0,
        turn_id=turn_id_of(message_id),
        message_id=message_id,
        attempt=attempt,
        deaths=deaths,
    )


def turn_ended(
    message: OpenMessage,
    status: TurnStatus,
    text: str,
    *,
    code: str | None = None,
    usage: Usage | None = None,
    waited_s: float | None = None,
    model: str = "",
) -> TurnEnded:
    """The end of the message's turn; its usage is the message's own unless given."""
    return TurnEnded(
        number=0,
        at=0.0,
        seq=0,
        turn_id=turn_id_of(message.message_id),
        message_id=message.message_id,
        status=status,
        text=text,
        usage=usage if usage is not None else message.usage,
        code=code,
        waited_seconds=None if waited_s is None else round(waited_s, 4),
        model=model,
    )


def end_of(turn: Turn, message: OpenMessage, status: TurnStatus, text: str, *, code: str | None) -> TurnEnded:
    """The end of a turn that runs, with what it has used and who answered it."""
    return turn_ended(
        message,
        status,
        text,
        code=code,
        usage=turn.usage,
        waited_s=turn.waited_s,
        model=turn.model,
    )


def tool_finished(turn_id: str, call: ToolCall, status: str, text: str) -> ToolFinished:
    """How a tool ended."""
    return ToolFinished(
        number=0,
        at=0.0,
        seq=0,
        turn_id=turn_id,
        call_id=call.call_id,
        name=call.name,
        status=status,
        text=text,
    )


def tool_started(turn_id: str, call: ToolCall) -> ToolStarted:
    """A tool is about to run."""
    return ToolStarted(
        number=0,
        at=0.0,
        seq=0,
        turn_id=turn_id,
        call_id=call.call_id,
        name=call.name,
        arguments=call.arguments,
    )


def approval_decided(
    approval_id: str, approval: Approval, decision: Literal["approved", "denied", "expired", "ended"], by: str
) -> ApprovalDecided:
    """What became of a tool that waited for a person."""
    return ApprovalDecided(
        number=0,
        at=0.0,
        turn_id=approval.turn_id,
        approval_id=approval_id,
        call_id=approval.call_id,
        decision=decision,
        by=by,
    )


def asked_for_tools(
    turn_id: str,
    answer: Completed,
    *,
    refused: Mapping[str, str],
    needs_approval: Callable[[str], bool],
    expires_at: float,
) -> list[Record]:
    """The model's answer that asks for tools, and for some of them their refusal, or the question for them.

    Args:
        refused: calls that are not run, by id, and what the model is told instead.
        needs_approval: whether the tool of this name waits for a person.
        expires_at: until when it does.
    """
    spoke = AssistantSpoke(
        number=0,
        at=0.0,
        turn_id=turn_id,
        text=answer.text,
        tool_calls=answer.tool_calls,
        usage=answer.usage,
    )
    begun: list[Record] = []
    asked = 0
    for call in answer.tool_calls:
        if call.call_id in refused:
            begun.append(tool_finished(turn_id, call, "error", refused[call.call_id]))
        elif needs_approval(call.name) and asked < MOST_QUESTIONS:
            asked += 1
            begun.append(approval_asked(turn_id, call, expires_at))
        elif needs_approval(call.name):
            begun.append(tool_finished(turn_id, call, "denied", _TOO_MANY_QUESTIONS))
    return [spoke, *begun]


def approval_asked(turn_id: str, call: ToolCall, expires_at: float) -> ApprovalAsked:
    """A person is asked whether a tool may run."""
    return ApprovalAsked(
        number=0,
        at=0.0,
        seq=0,
        turn_id=turn_id,
        approval_id="",
        call_id=call.call_id,
        name=call.name,
        arguments=call.arguments,
        expires_at=expires_at,
    )


def sub_agent_called(turn_id: str, call_id: str, usage: Usage) -> SubAgentCalled:
    """What a sub-agent's model call has used."""
    return SubAgentCalled(number=0, at=0.0, turn_id=turn_id, call_id=call_id, usage=usage)


def absorbed(into: OpenMessage, messages: Sequence[OpenMessage], code: str) -> list[Record]:
    """Messages that another one's turn answers, and their ends."""
    taken = MessagesAbsorbed(
        number=0, at=0.0, into=into.message_id, message_ids=tuple(each.message_id for each in messages)
    )
    return [taken, *(turn_ended(message, "completed", "", code=code) for message in messages)]


def settings_changed(**values: str | None) -> SettingsChanged:
    """Something is wanted otherwise from now on."""
    return SettingsChanged(number=0, at=0.0, values=values)


def approval_mark(session: str) -> str:
    """How the id of each of a session's approvals begins: so its session is found without a table of all."""
    return hashlib.blake2b(session.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()


def numbered(drafts: Sequence[Record], state: Conversation, now: float) -> tuple[Record, ...]:
    """The drafts as the records that follow the state.

    Args:
        now: Unix time, seconds.
    """
    number, seq = state.number, state.seq
    records: list[Record] = []
    for draft in drafts:
        number += 1
        changes: dict[str, int | float | str] = {"number": number, "at": now}
        if hasattr(draft, "seq"):
            seq += 1
            changes["seq"] = seq
        if isinstance(draft, ApprovalAsked):
            changes["approval_id"] = f"{approval_mark(state.key)}-{seq}"
        records.append(msgspec.structs.replace(draft, **changes))
    return tuple(records)


def ends_of(state: Conversation, *, queue: bool, now: float) -> tuple[Record, ...]:
    """The records that stop a conversation without a process: its running turn, with `queue` those that wait too."""
    ended = state.open if queue else state.open[:1]
    return numbered([turn_ended(message, "stopped", "") for message in ended], state, now)
