"""The body of an answer is read the same however it is cut, and what is none is told from an empty one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.messages.model import Complete
from openclaw_actors.providers.formats import Garbage
from openclaw_actors.providers.reader import AnswerReader, Cut, TooLarge
from openclaw_actors.providers.wire import AnswerBuilder

__all__: list[str] = []

REQUEST = Complete(call_id="c", session="s", correlation_id="k", messages=())
A = 'data: {"choices":[{"delta":{"content":"ä"}}]}\n\n'
B = 'data: {"choices":[{"delta":{"content":"🙂"}}]}\r\n\r\n'
STOP = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = "data: [DONE]\n\n"


def read(*pieces: bytes | str) -> tuple[str, AnswerReader]:
    """Read a whole body; what was read before a failure is in the exception's notes."""
    reader = AnswerReader(AnswerBuilder())
    texts: list[str] = []
    try:
        for piece in pieces:
            if reader.done or reader.error is not None:
                break
            for text in reader.feed(piece.encode() if isinstance(piece, str) else piece):
                texts.append(text)
        if not reader.done and reader.error is None:
            texts += reader.end()
    except ValueError as failure:
        failure.add_note("".join(texts))
        raise
    return "".join(texts), reader


def feed_often(reader: AnswerReader, piece: bytes) -> None:
    for _ in range(100):
        list(reader.feed(piece))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (A + B + STOP + DONE, "ä🙂"),
        (A + STOP, "ä"),
        (A + DONE, "ä"),
        (A + STOP + "data: [DONE]", "ä"),
        (f": hello\n\n\n\n{A}data:[DONE]\n\n", "ä"),
        (f"\ufeff{A}{DONE}", "ä"),
        (f"event: message\nid: 1\n{A}{DONE}", "ä"),
        (STOP, ""),
        ('\n {"choices":[{"message":{"content":"ä"}}]}', "ä"),
        ('{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}', ""),
    ],
)
def test_answers(body: str, text: str) -> None:
    said, reader = read(body)

    assert said == text
    assert reader.done
    assert reader.answer(REQUEST).text == text


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ("", Cut),
        (A, Cut),
        (A + STOP[:-2], Cut),
        (DONE, Garbage),
        ('data: {"a":1}\n\n' + DONE, Garbage),
        ('data: {"choices":[],"usage":{}}\n\n' + DONE, Garbage),
        ("error: no\n", Garbage),
        ("<html>", Garbage),
        ("hello", Garbage),
        ('{"ok":true}', Garbage),
        ('{"choices":[{"message":{"content":"a', Garbage),
        ("[]", Garbage),
        (A + "data: oops\n\n", Garbage),
    ],
)
def test_what_is_no_answer(body: str, failure: type[Exception]) -> None:
    with pytest.raises(failure):
        read(body)


@given(
    st.lists(
        st.sampled_from([A, B, STOP, ": c\n\n", "data: oops\n\n", 'data: {"error":"x"}\n\n']), max_size=6
    ),
    st.lists(st.integers(0, 300)),
)
def test_it_does_not_matter_where_the_bytes_are_cut(events: list[str], cuts: list[int]) -> None:
    body = "".join(events).encode()
    edges = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})

    def outcome(*pieces: bytes) -> tuple[str, str, bool]:
        try:
            text, reader = read(*pieces)
        except ValueError as failure:
            return failure.__notes__[0], type(failure).__name__, False
        return text, "", reader.error is not None

    assert outcome(*(body[a:b] for a, b in itertools.pairwise(edges))) == outcome(body)


def test_the_provider_can_report_an_error_at_any_time() -> None:
    text, reader = read(A, 'data: {"error":{"code":"c"}}\n\n', B)

    assert text == "ä"
    assert reader.error is not None
    assert reader.error.reason == "c"


def test_a_body_has_a_limit_whatever_it_is() -> None:
    for body in (A, '{"choices":', ": c\n\n"):
        reader = AnswerReader(AnswerBuilder(), max_bytes=100)
        with pytest.raises(TooLarge):
            feed_often(reader, body.encode())


def test_it_tells_how_far_it_is() -> None:
    reader = AnswerReader(AnswerBuilder())
    seen = []
    for piece in (": c\n\n", A, STOP, DONE):
        list(reader.feed(piece.encode()))
        seen.append((reader.started, reader.begun, reader.complete, reader.done))

    assert seen == [
        (True, False, False, False),
        (True, True, False, False),
        (True, True, True, False),
        (True, True, True, True),
    ]
    assert reader.finish_reason == "stop"
