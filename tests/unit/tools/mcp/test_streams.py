"""What servers write: lines of any length, answers that cannot be read, results of every kind, noise."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.tools.mcp.chatter import Chatter
from openclaw_actors.tools.mcp.lines import Lines, TooLong, id_in
from openclaw_actors.tools.mcp.words import text_of


@settings(deadline=None)
@given(st.binary(max_size=200).map(lambda data: data.replace(b"\r", b"\n")), st.lists(st.integers(1, 9)))
def test_lines_are_the_same_however_they_come_in_pieces(data: bytes, sizes: list[int]) -> None:
    lines, found, rest = Lines(1_000), [], data
    for size in [*sizes, len(data) or 1]:
        found += lines.feed(rest[:size])
        rest = rest[size:]
    assert found == data.split(b"\n")[:-1]


def test_a_line_that_is_too_long_leaves_its_ends_and_takes_no_memory() -> None:
    lines = Lines(1_000)
    assert not list(lines.feed(b"a" * 300))
    for _ in range(100):
        assert not list(lines.feed(b"b" * 10_000))
        assert len(lines._begun) <= 11_000
    long, short = lines.feed(b"c" * 256 + b"\nshort\n")
    assert isinstance(long, TooLong)
    assert (long.head, long.tail, long.size) == (b"a" * 256, b"c" * 256, 1_000_556)
    assert short == b"short"
    assert list(lines.feed(b"x" * 1_000 + b"\n")) == [b"x" * 1_000]


@pytest.mark.parametrize(
    ("head", "tail", "found"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{', b"xx", 7),
        (b'{"id": "a1", "jsonrpc": "2.0", "res', b"xx", "a1"),
        (b'{"result":{"id":3', b'}},"jsonrpc":"2.0","id":12}', 12),
        (b'{"result":{"id":3', b'"}],"id":9,"jsonrpc":"2.0"}', 9),
        (b'{"result":{"id":3', b'"id":3}}', None),
        (b"Listening on port 3000", b"", None),
    ],
)
def test_the_id_of_an_answer_that_cannot_be_read(head: bytes, tail: bytes, found: object) -> None:
    assert id_in(head, tail) == found


def test_results_become_text_that_names_what_is_none() -> None:
    data = "aGVsbG8="
    blocks = [
        SimpleNamespace(type="text", text="one\x00"),
        SimpleNamespace(type="image", mime_type="image/png", data=data),
        SimpleNamespace(type="audio", mime_type="audio/wav", data=data),
        SimpleNamespace(type="resource_link", name="n", uri="file:///n", mime_type="text/plain", size=9),
        SimpleNamespace(type="resource_link", name="m", uri="file:///m", mime_type=None, size=None),
        SimpleNamespace(type="resource", resource=SimpleNamespace(uri="a:b", mime_type=None, text="body")),
        SimpleNamespace(type="resource", resource=SimpleNamespace(uri="a:c", mime_type=None, blob=data)),
        SimpleNamespace(type="hologram"),
    ]
    assert text_of(blocks, {"ignored": 1}, max_chars=1_000).splitlines() == [
        "one\ufffd",
        "[image: image/png, 5 bytes, not shown]",
        "[audio: audio/wav, 5 bytes, not shown]",
        "[resource: n, file:///n, text/plain, 9 bytes]",
        "[resource: m, file:///m]",
        "[resource: a:b]",
        "body",
        "[resource: a:c, application/octet-stream, 5 bytes, not shown]",
        "[content of the type hologram, not shown]",
    ]
    assert text_of([], {"a": [1]}, max_chars=1_000) == '{"a":[1]}'
    assert text_of([], None, max_chars=1_000) == "(The tool answered nothing.)"
    cut = text_of(blocks[:1] * 1_000, None, max_chars=300)
    assert cut[300:] == "\n[truncated: the result was 4999 characters long]"


def test_noise_is_logged_at_debug_level_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    chatter = Chatter("s", clock=lambda: now[0])
    with caplog.at_level(logging.DEBUG):
        for number in range(1_000):
            chatter.feed(b"line %d\n" % number)
        chatter.feed(b"e" * 1_000_000 + b"\n")
        assert (len(caplog.records), chatter.dropped) == (100, 901)
        assert chatter.last == "e" * 200
        now[0] = 61.0
        chatter.note("stdout", b"again\xff\x1b")
    assert caplog.messages[100:] == ["mcp:s printed 901 lines more", "mcp:s stdout: again\ufffd\ufffd"]
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
