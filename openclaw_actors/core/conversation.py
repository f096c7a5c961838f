"""A conversation's state: what its records add up to.

`apply` is the only way in which it changes, in the session and in the store alike, so a snapshot and the journal
it stands for can never say different things.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

import msgspec

from openclaw_actors.core.records import (
    ApprovalAsked,
    ApprovalDecided,
    AssistantSpoke,
    HistoryCompacted,
    HistoryRestored,
    IncarnationOpened,
    MessagesAbsorbed,
    NumbersSkipped,
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
from openclaw_actors.core.window import chars_of, compact_window, trim_window, window_chars
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.history import HistoryTurn, Step, ToolOutcome

__all__ = [
    "Approval",
    "Conversation",
    "HistoryTurn",
    "OpenMessage",
    "OutOfOrder",
    "RememberedId",
    "Step",
    "ToolOutcome",
    "apply",
    "decode_state",
    "encode_state",
    "text_digest",
]

_BETWEEN_MESSAGES = "\n\n"
REMEMBERED_IDS = 1_024
_MAX_ARGUMENT_CHARS = 4_000
REMEMBERED_APPROVALS = 64
"""So many decided ones are known, to tell who decides once more."""
REMEMBERED_SECONDS = 7 * 24 * 3600.0
MOST_TOKENS = (1 << 63) - 1
REMEMBERED_IDS_AT_MOST = 100_000
"""A person who sends more than this in seven days finds the oldest ids forgotten."""


class OutOfOrder(ValueError):
    """A record's number or seq does not follow the one before it."""


class OpenMessage(msgspec.Struct):
    """An accepted message whose turn has not ended."""

    message_id: str
    text: str
    seq: int
    at: float
    channel: str
    delivery_id: str
    correlation_id: str
    bound_to: str | None = None
    attempt: int = 0
    """0: not begun."""
    began_at: float = 0.0
    """When its first attempt began, Unix time; 0: not begun."""
    deaths: int = 0
    steps: list[Step] = msgspec.field(default_factory=list)
    usage: Usage = msgspec.field(default_factory=Usage)
    absorbed: bool = False
    """Another message's turn answers it."""


class Approval(msgspec.Struct):
    """A tool that waits for a person's decision, or waited for one."""

    turn_id: str
    call_id: str
    name: str
    asked_at: float
    expires_at: float
    arguments: str = ""
    """As the model gave them; cut where they are very long."""
    decision: str = ""
    """`approved`, `denied`, `expired`, or `ended` with its turn; empty: it waits."""


class RememberedId(msgspec.Struct, array_like=True):
    """What a repeated message id is answered from."""

    seq: int
    at: float
    digest: str
    queued: int
    delivery_id: str
    ended_seq: int = 0
    """0: the turn has not ended."""


class Conversation(msgspec.Struct, dict=True):
    """The state of one session, complete at record `number`."""

    key: str
    created_at: float = 0.0
    last_active_at: float = 0.0
    number: int = 0
    seq: int = 0
    token: int = 0
    turns: int = 0
    usage: Usage = msgspec.field(default_factory=Usage)
    window: list[HistoryTurn] = msgspec.field(default_factory=list)
    restored_at: int = 0
    """The number of the record that last put another history into the window; 0: none has."""
    open: list[OpenMessage] = msgspec.field(default_factory=list)
    """Accepted messages without an answer, in order; the first is the one that runs."""
    commands: list[OpenMessage] = msgspec.field(default_factory=list)
    """Commands that were accepted and are not carried out, in order."""
    approvals: dict[str, Approval] = msgspec.field(default_factory=dict)
    """By id, oldest first: all that wait, and the last that were decided."""
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    """What a person wants otherwise in this conversation: `model`, `queue`."""
    remembered: dict[str, RememberedId] = msgspec.field(default_factory=dict)
    """By message id, oldest first."""

    @cached_property
    def window_chars(self) -> int:
        """How many characters there are of the window's turns; counted once, then kept up; not stored."""
        return window_chars(self.window)

    @property
    def unanswered(self) -> bool:
        """Whether anything that was accepted has no end yet."""
        return bool(self.open or self.commands)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Conversation)


def encode_state(state: Conversation) -> bytes:
    """The state as bytes, for messages between processes."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> Conversation:
    """Reads what `encode_state` wrote."""
    return _decoder.decode(data)


def text_digest(text: str) -> str:
    """Tells whether a repeated message id comes with the same text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()


def apply(state: Conversation, record: Record, *, window_turns: int) -> None:
    """Adds one record to the state.

    Args:
        window_turns: how many ended turns the state keeps for the model (`memory.max_history_turns`).

    Raises:
        OutOfOrder: if the record's number or seq does not follow; the state is unchanged then.
    """
    if record.number != state.number + 1:
        raise OutOfOrder(f"record {record.number} after {state.number}")
    seq = getattr(record, "seq", None)
    if seq is not None and seq != state.seq + 1:
        raise OutOfOrder(f"seq {seq} after {state.seq}")
    state.number = record.number
    if seq is not None:
        state.seq = seq
    if state.created_at == 0.0:
        state.created_at = record.at
    match record:
        case IncarnationOpened():
            state.token = max(state.token, record.token)
        case UserSaid():
            _add_message(state, record)
        case TurnEnded():
            _end_turn(state, record, window_turns)
        case NumbersSkipped():
            state.seq = max(state.seq, record.to_seq)
        case HistoryRestored() | HistoryCompacted():
            _change_window(state, record, window_turns)
        case MessagesAbsorbed():
            _absorb(state, record)
        case SettingsChanged() | ApprovalAsked() | ApprovalDecided():
            _change(state, record)
        case _:
            _advance_turn(state, record)


def _add_message(state: Conversation, record: UserSaid) -> None:
    state.last_active_at = max(state.last_active_at, record.at)
    (state.commands if record.command else state.open).append(
        OpenMessage(
            message_id=record.message_id,
            text=record.text,
            seq=record.seq,
            at=record.at,
            channel=record.channel,
            delivery_id=record.delivery_id,
            correlation_id=record.correlation_id,
            bound_to=record.bound_to,
        )
    )
    state.remembered[record.message_id] = RememberedId(
        seq=record.seq,
        at=record.at,
        digest=text_digest(record.text),
        queued=record.queued,
        delivery_id=record.delivery_id,
    )
    _forget_old_ids(state, record.at)


def _forget_old_ids(state: Conversation, now: float) -> None:
    while len(state.remembered) > REMEMBERED_IDS:
        oldest = next(iter(state.remembered))
        entry = state.remembered[oldest]
        too_many = len(state.remembered) > REMEMBERED_IDS_AT_MOST
        if not too_many and (now - entry.at < REMEMBERED_SECONDS or entry.ended_seq == 0):
            return
        del state.remembered[oldest]


def _end_turn(state: Conversation, record: TurnEnded, window_turns: int) -> None:
    remembered = state.remembered.get(record.message_id)
    if remembered is not None:
        remembered.ended_seq = record.seq
    state.last_active_at = max(state.last_active_at, record.at)
    command = next((each for each in state.commands if each.message_id == record.message_id), None)
    if command is not None:
        state.commands.remove(command)
        return
    for approval in state.approvals.values():
        if not approval.decision and approval.turn_id == record.turn_id:
            approval.decision = "ended"
    message = next((open_ for open_ in state.open if open_.message_id == record.message_id), None)
    if message is None:
        return
    state.open.remove(message)
    if message.absorbed:
        return
    state.turns += 1
    state.usage = _sum(state.usage, record.usage)
    turn = HistoryTurn(user=message.text, steps=message.steps, answer=record.text, status=record.status)
    chars = state.window_chars + chars_of(turn)
    state.window.append(turn)
    state.window_chars = trim_window(state.window, window_turns, chars)


def _change_window(
    state: Conversation, record: HistoryRestored | HistoryCompacted, window_turns: int
) -> None:
    if isinstance(record, HistoryRestored):
        state.window = list(record.window)
        state.restored_at = record.number
        state.window_chars = trim_window(state.window, window_turns)
        return
    state.usage = _sum(state.usage, record.usage)
    if record.text and record.since == state.restored_at:
        compact_window(
            state.window, newer=max(0, state.turns - record.up_to), turns=record.turns, text=record.text
        )
        state.window_chars = window_chars(state.window)


def _ask_or_decide(state: Conversation, record: ApprovalAsked | ApprovalDecided) -> None:
    if isinstance(record, ApprovalDecided):
        if record.approval_id in state.approvals:
            state.approvals[record.approval_id].decision = record.decision
        return
    state.approvals[record.approval_id] = Approval(
        turn_id=record.turn_id,
        call_id=record.call_id,
        name=record.name,
        asked_at=record.at,
        expires_at=record.expires_at,
        arguments=record.arguments[:_MAX_ARGUMENT_CHARS],
    )
    decided = [name for name, approval in state.approvals.items() if approval.decision]
    for name in decided[:-REMEMBERED_APPROVALS]:
        del state.approvals[name]


def _absorb(state: Conversation, record: MessagesAbsorbed) -> None:
    into = next((each for each in state.open if each.message_id == record.into), None)
    if into is None:
        return
    taken = [each for each in state.open if each.message_id in record.message_ids]
    for message in taken:
        message.absorbed = True
    texts = [message.text for message in taken]
    if into.steps:
        into.steps[-1].said += texts
    else:
        into.text = _BETWEEN_MESSAGES.join([*texts, into.text])


def _change(state: Conversation, record: SettingsChanged | ApprovalAsked | ApprovalDecided) -> None:
    if not isinstance(record, SettingsChanged):
        _ask_or_decide(state, record)
        return
    for name, value in record.values.items():
        if value is None:
            state.settings.pop(name, None)
        else:
            state.settings[name] = value


def _advance_turn(
    state: Conversation, record: TurnBegan | AssistantSpoke | SubAgentCalled | ToolStarted | ToolFinished
) -> None:
    message = next((each for each in state.open if turn_id_of(each.message_id) == record.turn_id), None)
    if message is None:
        return  # what comes late, of a turn that has ended, is nobody else's
    match record:
        case TurnBegan():
            message.attempt = record.attempt
            message.began_at = message.began_at or record.at
            message.deaths = record.deaths
        case AssistantSpoke():
            message.deaths = 0
            message.usage = _sum(message.usage, record.usage)
            message.steps.append(Step(text=record.text, calls=record.tool_calls))
        case SubAgentCalled():
            message.usage = _sum(message.usage, record.usage)
        case ToolStarted() if message.steps:
            message.steps[-1].started.add(record.call_id)
        case ToolFinished() if message.steps:
            message.deaths = 0
            message.steps[-1].outcomes[record.call_id] = ToolOutcome(status=record.status, text=record.text)


def _sum(one: Usage, other: Usage) -> Usage:
    """Providers count as they like; a state must stay one that can be encoded."""
    total = one + other
    return Usage(
        input_tokens=min(max(total.input_tokens, 0), MOST_TOKENS),
        output_tokens=min(max(total.output_tokens, 0), MOST_TOKENS),
    )
