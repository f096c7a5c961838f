"""Decides what a journal's lines say, and which of them count after a crash.

The first line names the format and the session; each later one is a record with the token of the incarnation that
wrote it. The records of one append stand or fall together: if there are several, each says which part it is.

    {"crc":"5d1c0f5e","format":1,"session":"websocket:local:main"}
    {"crc":"1c291ca3","token":4000001,"record":{"kind":"user","number":1,...}}
    {"crc":"90ab12cd","token":4000001,"part":[1,2],"record":{...}}
    {"crc":"77cd0e11","token":4000001,"part":[2,2],"record":{...}}
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from openclaw_actors.core.conversation import Conversation, OutOfOrder, apply
from openclaw_actors.core.records import Record
from openclaw_actors.core.window import trim_window
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.framing import START, crc_of, seal, unseal
from openclaw_actors.store.snapshot import Snapshot, is_snapshot, read_snapshot, too_short

__all__ = [
    "FORMAT",
    "Damaged",
    "JournalLine",
    "Loaded",
    "OtherKey",
    "decode_line",
    "frame",
    "header_line",
    "highest_seq",
    "key_inside",
    "lines",
    "load",
    "read_header",
]

FORMAT = 1
_LONGEST_HEADER = 65_536
_SECTOR = 512
"""No disk writes one of these by halves."""


class Damaged(Exception):
    """Raised when a journal cannot be trusted; nothing of it was changed."""


class OtherKey(Exception):
    """Raised when the file belongs to another key: two names are one to this file system, or two hashes are equal."""


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line."""

    format: int
    session: str
    after: int = 0
    """Number of the last event of the conversation that the key had before; 0: it had none."""


class JournalLine(msgspec.Struct, frozen=True):
    """Every other line."""

    token: int
    record: Record
    part: tuple[int, int] = (1, 1)


class Loaded(msgspec.Struct):
    """A session as its files have it."""

    state: Conversation
    after: int = 0
    """As in the header; numbers of events begin behind it."""
    end: int = 0
    """The journal's valid length; 0: nothing is stored."""
    last: tuple[int, str] = (0, "")
    token: int = 0
    snapshot_number: int = 0
    snapshot_end: int = 0
    snapshot_bytes: int = 0
    torn: bool = False
    """Behind `end` stands what a crash left of a commit that nobody was told of."""


_header_decoder = msgspec.json.Decoder(Header)
_line_decoder = msgspec.json.Decoder(JournalLine)


def header_line(key: str, *, after: int = 0) -> bytes:
    """The first line of a key's journal, whose events are numbered from behind `after`."""
    return seal(msgspec.json.encode(Header(format=FORMAT, session=key, after=after))[1:])


def frame(bodies: Sequence[bytes], tokens: Sequence[int]) -> list[bytes]:
    """The lines of one commit of one session.

    Args:
        bodies: what `core.records.encode_record` made.
        tokens: of the incarnations that wrote them, as many as bodies.
    """
    count = len(bodies)
    if count == 1:
        return [seal(b'"token":%d,"record":%s}' % (tokens[0], bodies[0]))]
    return [
        seal(b'"token":%d,"part":[%d,%d],"record":%s}' % (token, index, count, body))
        for index, (token, body) in enumerate(zip(tokens, bodies, strict=True), 1)
    ]


def decode_line(line: bytes) -> JournalLine:
    """Reads one sealed line; raises `Damaged` if its words are not ours."""
    try:
        return _line_decoder.decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise Damaged(f"a line cannot be understood: {error}") from error


def lines(
    descriptor: int, start: int, end: int, *, chunk_bytes: int = 262_144
) -> Iterator[tuple[int, bytes]]:
    """The lines between two offsets with the offset of each, without their ends.

    What stands behind the last line's end comes last, and is then never whole (`unseal`), its end being missing:
    a byte is appended to it so that no accident makes it so.
    """
    rest: list[bytes] = []
    offset = start
    while start < end:
        chunk = os.pread(descriptor, min(chunk_bytes, end - start), start)
        if not chunk:
            break
        start += len(chunk)
        head, *tail = chunk.split(b"\n")
        rest.append(head)
        for piece in tail:
            line = b"".join(rest)
            yield offset, line
            offset += len(line) + 1
            rest = [piece]
    if any(rest):
        yield offset, b"".join(rest) + b"\0"


def read_header(descriptor: int) -> tuple[Header | None, int]:
    """The header and its length with its end; None if the first line is not a whole header."""
    data = os.pread(descriptor, _LONGEST_HEADER, 0)
    length = data.find(b"\n") + 1
    if not length or not unseal(data[: length - 1]):
        return None, length
    try:
        return _header_decoder.decode(data[: length - 1]), length
    except (msgspec.DecodeError, ValueError):
        return None, length


def key_inside(path: Path) -> str | None:
    """Whose journal it is; None if its first line does not say. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        header, _ = read_header(descriptor)
    finally:
        os.close(descriptor)
    return None if header is None else header.session


def highest_seq(path: Path) -> int:
    """The highest number of an event among the lines that can be read; 0 if there is none. Raises OSError."""
    highest = 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return highest
    try:
        for offset, data in lines(descriptor, 0, os.fstat(descriptor).st_size):
            if offset and unseal(data):
                with contextlib.suppress(Damaged):
                    highest = max(highest, getattr(decode_line(data).record, "seq", 0))
    finally:
        os.close(descriptor)
    return highest


def load(journal: Path, snapshot: Path, key: str, *, window_turns: int) -> Loaded | None:
    """A session's state from its files, which are only read; None if it was never stored.

    Raises:
        Damaged: if something before the last commit is not what was written.
        OtherKey: if the file is another session's.
        OSError: if it cannot be read now, which says nothing about what is in it.
    """
    try:
        descriptor = os.open(journal, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # not to wait for a pipe
    except FileNotFoundError:
        if is_snapshot(snapshot):
            found = read_snapshot(snapshot, key)
            if found is None and _snapshot_key(snapshot) not in (key, None):
                raise OtherKey from None
            raise Damaged("the snapshot stands without its journal") from None
        return None
    try:
        size = os.fstat(descriptor).st_size
        header, length = read_header(descriptor)
        if header is None:
            return _without_header(descriptor, size, snapshot, key)
        if header.session != key:
            raise OtherKey
        if header.format > FORMAT:
            raise StoreRefusal("unavailable", "the conversation was written by a newer version")
        found = read_snapshot(snapshot, key)
        loaded = _start(descriptor, size, length, found, header)
        if found is not None and too_short(found, window_turns):
            loaded = _start(descriptor, size, length, None, header)
        elif found is not None:
            loaded.snapshot_bytes = snapshot.stat().st_size
            trim_window(loaded.state.window, window_turns)
        _fold(descriptor, size, loaded, window_turns)
        return loaded
    finally:
        os.close(descriptor)


def _snapshot_key(path: Path) -> str | None:
    try:
        return _header_decoder.decode(path.read_bytes()).session
    except (msgspec.DecodeError, ValueError):
        return None


def _without_header(descriptor: int, size: int, snapshot: Path, key: str) -> Loaded:
    """Only a first commit that never ended leaves no header: any of its sectors may have got to the disk or not."""
    first = os.pread(descriptor, _SECTOR, 0)
    unfinished = b"\n" not in first and (first.startswith(START[: len(first)]) or not first.strip(b"\0"))
    if is_snapshot(snapshot) or not unfinished:
        raise Damaged("the journal's first line is damaged")
    _check_torn(descriptor, 0, size, 0)
    return Loaded(state=Conversation(key=key), torn=size > 0)


def _start(
    descriptor: int, size: int, header_length: int, snapshot: Snapshot | None, header: Header
) -> Loaded:
    if snapshot is None:
        state = Conversation(key=header.session, seq=header.after)
        return Loaded(state=state, after=header.after, end=header_length)
    start, crc = snapshot.last
    line = os.pread(descriptor, 16, start)
    if snapshot.offset > size or crc_of(line) != crc:
        raise Damaged("the journal is shorter than its snapshot says, or another one")
    return Loaded(
        state=snapshot.state,
        after=header.after,
        end=snapshot.offset,
        last=snapshot.last,
        token=snapshot.token,
        snapshot_number=snapshot.state.number,
        snapshot_end=snapshot.offset,
    )


def _fold(descriptor: int, size: int, loaded: Loaded, window_turns: int) -> None:
    group: list[JournalLine] = []
    for offset, data in lines(descriptor, loaded.end, size):
        if not unseal(data):
            _check_torn(descriptor, offset + len(data), size, loaded.state.number)
            break
        line = decode_line(data)
        group.append(line)
        if line.part[0] != len(group):
            raise Damaged(f"part of an append is missing before record {line.record.number}")
        if line.part[0] < line.part[1]:
            continue
        try:
            for member in group:
                apply(loaded.state, member.record, window_turns=window_turns)
        except OutOfOrder as error:
            raise Damaged(str(error)) from error
        group.clear()
        loaded.end = offset + len(data) + 1
        loaded.last = (offset, crc_of(data))
        loaded.token = max(loaded.token, line.token)
    loaded.torn = loaded.end < size


def _check_torn(descriptor: int, start: int, size: int, number: int) -> None:
    """Whole lines behind a broken one are fine only if they are of the same commit, of which nobody was told."""
    for _, data in lines(descriptor, start, size):
        if unseal(data):
            line = decode_line(data)
            if line.record.number - line.part[0] != number:
                raise Damaged(f"something between record {number} and {line.record.number} is damaged")
