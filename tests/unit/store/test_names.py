from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.store.names import LONGEST_SUFFIX, hashed_name, key_of_name, name_limit, plain_name

LIMIT = 255 - LONGEST_SUFFIX


def test_a_name_is_unpadded_url_safe_base64() -> None:
    assert plain_name("websocket:sender", limit=LIMIT) == "d2Vic29ja2V0OnNlbmRlcg"


@pytest.mark.parametrize("key", ["k" * 185, "k" * 200, "k" * 201, "漢" * 62, "漢" * 52, "k" * 5_000])
def test_no_name_is_too_long_for_the_file_system(key: str, tmp_path: Path) -> None:
    name = plain_name(key, limit=name_limit(tmp_path))
    longest = tmp_path / f".{name}.jsonl.quarantined-1790000000000-9"
    longest.write_text("x")
    assert len(os.fsencode(longest.name)) <= 255


@pytest.mark.parametrize("key", ["k" * 201, "漢" * 62])
def test_a_key_that_is_too_long_is_hashed(key: str) -> None:
    assert plain_name(key, limit=LIMIT) == hashed_name(key)
    assert key_of_name(hashed_name(key)) is None


@given(st.text(min_size=1, max_size=60))
def test_a_plain_name_tells_its_key_and_nothing_but_safe_letters(key: str) -> None:
    name = plain_name(key, limit=1 << 16)
    assert key_of_name(name) == key
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in name)


@pytest.mark.parametrize("name", ["", "a", "not base64!", "dGVzdA==", "../../etc", "dGVzdB"])
def test_names_that_are_not_ours_tell_no_key(name: str) -> None:
    assert key_of_name(name) is None
