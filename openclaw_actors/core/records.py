"""How a record stands in the journal, and the durable event that it stands for."""

from __future__ import annotations

import msgspec

from openclaw_actors.messages.events import (
    DurableEvent,
    MessageAccepted,
    ToolApprovalRequired,
    ToolResult,
    ToolStart,
    TurnDone,
    TurnStarted,
)
from openclaw_actors.messages.records import (
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
)

__all__ = [
    "ApprovalAsked",
    "ApprovalDecided",
    "AssistantSpoke",
    "HistoryCompacted",
    "HistoryRestored",
    "IncarnationOpened",
    "MessagesAbsorbed",
    "NumbersSkipped",
    "Record",
    "SettingsChanged",
    "SubAgentCalled",
    "ToolFinished",
    "ToolStarted",
    "TurnBegan",
    "TurnEnded",
    "UserSaid",
    "decode_record",
    "encode_record",
    "event_of",
    "turn_id_of",
]


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The record as one line of JSON, without the line's end."""
    return _encoder.encode(record)


def decode_record(data: bytes | memoryview) -> Record:
    """Reads what `encode_record` wrote; raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(data)


def turn_id_of(message_id: str) -> str:
    """A turn's id follows from the message that it answers, so a restarted session continues the same turn."""
    return f"turn-{message_id}"


def event_of(record: Record) -> DurableEvent | None:
    """What clients see of a record; None for those that are the journal's own."""
    match record:
        case UserSaid():
            return MessageAccepted(
                seq=record.seq,
                message_id=record.message_id,
                text=record.text,
                queued=record.queued,
                busy=record.busy,
            )
        case TurnBegan():
            return TurnStarted(
                seq=record.seq,
                turn_id=record.turn_id,
                message_id=record.message_id,
                attempt=record.attempt,
            )
        case ToolStarted():
            return ToolStart(
                seq=record.seq,
                turn_id=record.turn_id,
                call_id=record.call_id,
                name=record.name,
                arguments=record.arguments,
            )
        case ToolFinished():
            return ToolResult(
                seq=record.seq,
                turn_id=record.turn_id,
                call_id=record.call_id,
                name=record.name,
                status=record.status,
                text=record.text,
            )
        case ApprovalAsked():
            return ToolApprovalRequired(
                seq=record.seq,
                turn_id=record.turn_id,
                approval_id=record.approval_id,
                call_id=record.call_id,
                name=record.name,
                arguments=record.arguments,
            )
        case TurnEnded():
            return TurnDone(
                seq=record.seq,
                turn_id=record.turn_id,
                message_id=record.message_id,
                status=record.status,
                text=record.text,
                usage=record.usage,
                code=record.code,
            )
        case _:
            return None
