"""Server-sent events are read however the bytes are cut, and within limits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.providers.sse import EventParser, EventTooLarge

__all__: list[str] = []


def parse(*pieces: bytes) -> list[bytes]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def feed_often(parser: EventParser, piece: bytes) -> None:
    for _ in range(100):
        parser.feed(piece)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b": keep-alive\n\ndata: a\n\n", [b"a"]),
        (b"event: delta\nid: 7\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\n\n\n", []),
        (b"data: half", []),
        (b"data: half\n", []),
        (b"database: a\n\n", []),
        (b"<html>\n<body>no</body>\n\n", []),
        (b"data: \xff\xfe\n\n", [b"\xff\xfe"]),
        (b"", []),
    ],
)
def test_streams(stream: bytes, events: list[bytes]) -> None:
    assert parse(stream) == events
    assert parse(*(stream[i : i + 1] for i in range(len(stream)))) == events, "byte by byte"


@given(
    st.lists(
        st.sampled_from([b"data: a", b"data:bb", b":c", b"", b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"])
    ),
    st.lists(st.integers(0, 60)),
)
def test_it_does_not_matter_where_the_bytes_are_cut(tokens: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(tokens)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})

    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]

    assert parse(*pieces) == parse(stream)


def test_a_line_over_the_limit_is_refused_however_it_comes() -> None:
    line = b"data: " + b"x" * 100 + b"\n\n"
    with pytest.raises(EventTooLarge):
        EventParser(max_line_bytes=50).feed(line)

    parser = EventParser(max_line_bytes=50)
    with pytest.raises(EventTooLarge):
        feed_often(parser, b"x")


def test_an_event_of_too_many_lines_is_refused() -> None:
    parser = EventParser(max_event_bytes=100)

    with pytest.raises(EventTooLarge):
        feed_often(parser, b"data: 12345678\n")


def test_the_limits_hold_for_each_event_not_for_the_stream() -> None:
    parser = EventParser(max_line_bytes=20, max_event_bytes=20)

    events = [event for _ in range(1000) for event in parser.feed(b"data: 12345678\n\n")]

    assert len(events) == 1000
