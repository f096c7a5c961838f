"""Pages become text that can be read, whatever stands in them."""

from __future__ import annotations

import time

import pytest

from openclaw_actors.tools.page_text import charset_of, decode_page, is_text, text_of_html
from openclaw_actors.tools.threads import StopFlag


def text(page: str) -> str:
    return text_of_html(page, StopFlag())[1]


def test_tags_scripts_and_styles_go_and_the_text_stays() -> None:
    page = """<!doctype html><html><head><title> The
      title </title><style>p {color: red}</style><script>alert("<p>no</p>")</script></head>
    <body><h1>Head&amp;line</h1><p>One   <b>bold</b>\n  word.</p><!-- hidden --><ul><li>a<li>b &lt;c&gt;</ul>
    <script>more()</script><noscript>no</noscript><p>End &#8364; &nbsp;&copy;</body></html>"""
    title, found = text_of_html(page, StopFlag())
    assert title == "The title"
    assert found == "Head&line\n\nOne bold\nword.\n\n- a\n- b <c>\n\nEnd € ©"


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("", ""),
        ("no tags", "no tags"),
        ("<p>open <b>for ever", "open for ever"),
        ("<head><title>t</title><body>a head that is not closed", "a head that is not closed"),
        ("<script>never closed", ""),
        ("</p></div>closed only", "closed only"),
        ('<?xml version="1.0" encoding="latin-1"?><html><body>\xe9\0x', "\xe9x"),
        ("<div>" * 1_000 + "deep", "deep"),
        ("a\ud800b", "a?b"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("<svg><title>x</title><text>y</text></svg>z", "z"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\n\nc"),
    ],
)
def test_pages_that_are_not_well_formed(page: str, found: str) -> None:
    assert text(page) == found


@pytest.mark.parametrize(
    "piece", ["<", "<!", "<!--", "<![", "&", "<a ", "</", "<p>\n", " \n", "<script>", "&#x"]
)
def test_no_page_takes_for_ever(piece: str) -> None:
    flag, began = StopFlag(), time.monotonic()
    text_of_html(piece * (500_000 // len(piece)), flag)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("named", "data", "charset"),
    [
        (None, b"x", "utf-8"),
        ("ISO-8859-1", b"x", "iso8859-1"),
        ("nonsense", b"x", "utf-8"),
        (None, b"<meta charset='windows-1251'>", "cp1251"),
        (None, b'<META http-equiv=Content-Type content="text/html; charset=shift_jis">', "shift_jis"),
        ("utf-8", b"<meta charset=latin-1>", "utf-8"),
        ("utf-8", b"\xff\xfea\0", "utf-16"),
        ("latin-1", b"\xef\xbb\xbfx", "utf-8-sig"),
        ("punycode", b"x", "utf-8"),
        ("unicode_escape", b"x", "utf-8"),
        ("../../x", b"x", "utf-8"),
    ],
)
def test_the_charset_is_found(named: str | None, data: bytes, charset: str) -> None:
    assert charset_of(named, data, html=True) == charset


def test_what_is_in_no_charset_is_shown_with_marks() -> None:
    assert decode_page(b"na\xefve", "utf-8") == "na\ufffdve"
    assert decode_page(b"x", "rot13") == "x"


@pytest.mark.parametrize(
    ("kind", "data", "is_one"),
    [
        ("text/html", b"\0", True),
        ("application/json", b"", True),
        ("application/ld+json", b"", True),
        ("image/svg+xml", b"", True),
        ("", b"plain", True),
        ("application/octet-stream", b"plain", True),
        ("application/octet-stream", b"\0\1", False),
        ("application/octet-stream", b"\xff\xff", False),
        ("", "né".encode()[:-1], True),
        ("image/png", b"text", False),
    ],
)
def test_what_is_text(kind: str, data: bytes, is_one: bool) -> None:
    assert is_text(kind, data) is is_one
