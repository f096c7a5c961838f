"""Frames survive being cut anywhere; what is no frame ends the stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.actorsystem.framing import HEADER_SIZE, BadFrame, FrameReader, Kind, encode

_FRAMES = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**64 - 1), st.binary(max_size=300)), max_size=8
)


@given(frames=_FRAMES, cuts=st.lists(st.integers(1, 200), min_size=1))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(
    frames: list[tuple[Kind, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(encode(*frame) for frame in frames)
    reader = FrameReader(300)
    found, start, turn = [], 0, 0
    while start < len(stream):
        size = cuts[turn % len(cuts)]
        found += [(f.kind, f.ask_id, bytes(f.payload)) for f in reader.feed(stream[start : start + size])]
        start, turn = start + size, turn + 1
    assert found == [(int(kind), number, payload) for kind, number, payload in frames]


def test_a_payload_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert len(FrameReader(10).feed(encode(Kind.TELL, 0, b"x" * 10))) == 1
    with pytest.raises(BadFrame):
        FrameReader(10).feed(encode(Kind.TELL, 0, b"x" * 11)[:HEADER_SIZE])


def test_an_oversize_header_that_arrives_in_pieces_is_refused() -> None:
    reader = FrameReader(10)
    header = encode(Kind.TELL, 0, b"x" * 11)[:HEADER_SIZE]
    assert reader.feed(header[:5]) == []
    with pytest.raises(BadFrame):
        reader.feed(header[5:])  # at once: nothing of such a frame is kept


def test_an_unknown_kind_ends_the_stream() -> None:
    with pytest.raises(BadFrame):
        FrameReader(10).feed(encode(99, 0, b""))


@given(stream=st.binary(max_size=400), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_any_bytes_are_frames_or_the_end_however_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    whole, whole_ended = _read(stream, [len(stream) or 1])
    found, ended = _read(stream, cuts)
    # Frames before what is no frame may be lost with the connection, when they come in the same piece.
    assert found[: len(whole)] == whole[: len(found)]
    assert (ended, whole_ended) != (False, True)
    for kind, number, payload in found:
        assert encode(kind, number, payload) in stream


def _read(stream: bytes, cuts: list[int]) -> tuple[list[tuple[int, int, bytes]], bool]:
    """The frames, and whether something that is none came behind them."""
    reader, found, start, turn = FrameReader(64), [], 0, 0
    while start < len(stream):
        size = cuts[turn % len(cuts)]
        try:
            found += [(f.kind, f.ask_id, bytes(f.payload)) for f in reader.feed(stream[start : start + size])]
        except BadFrame:
            return found, True
        start, turn = start + size, turn + 1
    return found, False


@given(frames=_FRAMES, at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_bit_that_flips_leaves_frames_within_the_limit_or_the_end(
    frames: list[tuple[Kind, int, bytes]], at: int, bit: int
) -> None:
    stream = bytearray(b"".join(encode(*frame) for frame in frames) or b"\0")
    stream[at % len(stream)] ^= 1 << bit
    try:
        found = FrameReader(300).feed(bytes(stream))
    except BadFrame:
        return
    assert all(frame.kind in set(Kind) and len(frame.payload) <= 300 for frame in found)
