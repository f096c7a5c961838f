"""Owns the snapshot: a session's state as of one offset of its journal, so that opening does not read all of it.

One line of JSON, sealed like every line (`framing`). It is an index, never the truth: a damaged one is made again
from the journal. It names the last line that it covers, so a journal that is not its own is noticed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.store.framing import seal, unseal

__all__ = ["FORMAT", "Snapshot", "encode_snapshot", "is_snapshot", "read_snapshot", "too_short"]

FORMAT = 1


class Snapshot(msgspec.Struct, frozen=True):
    """What the file holds."""

    format: int
    session: str
    offset: int
    """The journal's length when this was its state."""
    last: tuple[int, str]
    """Offset and CRC of the last line before `offset`."""
    token: int
    """The token of that line."""
    window_turns: int
    """How many ended turns the state was to keep; a longer window must be read from the journal."""
    state: Conversation


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The file's content."""
    return seal(_encoder.encode(snapshot)[1:])


def read_snapshot(path: Path, key: str) -> Snapshot | None:
    """What stands in the file; None if there is none, or if it is damaged or another session's.

    Raises:
        OSError: if the file is there but cannot be read now.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if not unseal(data[:-1]):
        return None
    try:
        snapshot = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError):
        return None
    return snapshot if snapshot.session == key and snapshot.format == FORMAT else None


def too_short(snapshot: Snapshot, window_turns: int) -> bool:
    """Was the snapshot made for a shorter window than is asked for now, and had to leave turns out?"""
    return snapshot.window_turns < window_turns and snapshot.state.turns > len(snapshot.state.window)


def is_snapshot(path: Path) -> bool:
    """Does this file claim to be a snapshot of ours? Raises OSError."""
    try:
        with path.open("rb") as file:
            return file.read(8) == b'{"crc":"'
    except FileNotFoundError:
        return False
