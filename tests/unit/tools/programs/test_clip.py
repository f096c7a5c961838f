"""Long output keeps its beginning and its end, and says what is missing."""

from __future__ import annotations

import pytest

from openclaw_actors.tools.clip import Clip


def clipped(limit: int, *pieces: bytes) -> Clip:
    clip = Clip(limit)
    for piece in pieces:
        clip.feed(piece)
    return clip


def test_what_fits_is_kept_whole() -> None:
    clip = clipped(10, b"abc", b"defg", b"hij")
    assert (clip.text(), clip.left_out, clip.total) == ("abcdefghij", 0, 10)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_beginning_and_end_are_kept_however_it_arrives(size: int) -> None:
    data = b"".join(b"%04d\n" % number for number in range(1000))
    clip = clipped(20, *(data[at : at + size] for at in range(0, len(data), size)))
    assert clip.text() == "0000\n0001\n[… 4980 bytes left out …]\n0998\n0999\n"
    assert clip.left_out + 20 == clip.total == len(data)


def test_no_character_is_cut_in_half() -> None:
    clip = clipped(11, "äöüßéèêëñ".encode())
    assert clip.text() == "äö\n[… 7 bytes left out …]\nêëñ"


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert clipped(10, b"a\xff\xfeb").text() == "a��b"


def test_memory_stays_at_the_limit() -> None:
    clip = Clip(1000)
    for _ in range(10_000):
        clip.feed(b"x" * 777)
    assert len(clip._head) + len(clip._tail) <= 3 * 1000
