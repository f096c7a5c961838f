from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.store.framing import crc_of, seal, unseal

LINE = seal(b'"token":1,"text":"h\xc3\xa9"}')


def test_a_sealed_line_is_one_line_of_json() -> None:
    assert LINE.endswith(b"\n")
    assert LINE.count(b"\n") == 1
    assert json.loads(LINE) == {"crc": crc_of(LINE), "token": 1, "text": "hé"}


def test_a_whole_line_is_accepted() -> None:
    assert unseal(LINE[:-1])


@given(st.integers(0, len(LINE) - 2), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(position: int, change: int) -> None:
    damaged = bytearray(LINE[:-1])
    damaged[position] ^= change
    assert not unseal(bytes(damaged))


@given(st.binary(max_size=64))
def test_no_other_bytes_are_a_line(data: bytes) -> None:
    assert not unseal(data)


def test_no_beginning_of_a_line_is_whole() -> None:
    assert not any(unseal(LINE[:length]) for length in range(len(LINE) - 1))
