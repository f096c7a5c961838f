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
