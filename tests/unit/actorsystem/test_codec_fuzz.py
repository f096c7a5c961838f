"""Every plain message of the protocol survives the way through bytes; damaged bytes are refused, never misread."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.actorsystem import codec
from openclaw_actors.actorsystem.address import Address
from openclaw_actors.messages import Plain


def _plain_types() -> list[type[Plain]]:
    found: dict[str, type[Plain]] = {}
    waiting: list[type[Plain]] = [Plain]
    while waiting:
        subtypes = waiting.pop().__subclasses__()
        waiting += subtypes
        found |= {each.__qualname__: each for each in subtypes if codec.head_of(each) is not None}
    return sorted(found.values(), key=lambda each: each.__qualname__)


_TYPES = _plain_types()
st.register_type_strategy(str, st.text(st.characters(blacklist_categories=("Cs",)), max_size=20))
st.register_type_strategy(int, st.integers(-(2**63), 2**64 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(object, st.none() | st.booleans() | st.text("abc", max_size=5))


@functools.cache
def _messages(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    fields = {name: _values_of(hints[name]) for name in cls.__struct_fields__}
    return st.builds(cls, **fields)


def _values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type; structures inside are made in the same way."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return st.deferred(lambda: _messages(hint))
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[1:] == (...,):
        return st.lists(_values_of(typing.get_args(hint)[0]), max_size=2).map(tuple)
    if typing.get_origin(hint) is list:
        return st.lists(_values_of(typing.get_args(hint)[0]), max_size=2)
    if typing.get_origin(hint) is dict:
        return st.dictionaries(*map(_values_of, typing.get_args(hint)), max_size=2)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return st.one_of(*map(_values_of, typing.get_args(hint)))
    if hint is Any:  # an address
        return st.builds(Address, st.text("abc/é", max_size=5))
    return st.from_type(hint)


@pytest.mark.parametrize("cls", _TYPES, ids=lambda cls: cls.__qualname__)
def test_any_plain_message_comes_back_as_it_was(cls: type[Plain]) -> None:
    @settings(max_examples=8, deadline=None, database=None)
    @given(message=_messages(cls))
    def check(message: Plain) -> None:
        assert codec.decode(memoryview(codec.encode(message))) == message

    check()


_FOREIGN = st.binary(max_size=200).map(lambda rest: b"\x01" + rest)
_ANY_MESSAGE = st.sampled_from(_TYPES).flatmap(_messages)


@settings(max_examples=150, deadline=None)
@given(message=_ANY_MESSAGE, rest=st.binary(max_size=200))
def test_a_known_head_before_anything_is_a_message_of_its_type_or_an_error(
    message: Plain, rest: bytes
) -> None:
    head = codec.head_of(type(message))
    assert head is not None
    _decodes_to(type(message), head + rest)


@settings(max_examples=150, deadline=None)
@given(message=_ANY_MESSAGE, at=st.integers(0, 1000), bit=st.integers(0, 7))
def test_a_message_with_a_bit_that_flips_is_one_of_its_type_or_an_error(
    message: Plain, at: int, bit: int
) -> None:
    head = codec.head_of(type(message))
    assert head is not None
    data = bytearray(codec.encode(message))
    if len(data) > len(head):
        data[len(head) + at % (len(data) - len(head))] ^= 1 << bit
    _decodes_to(type(message), bytes(data))


@settings(max_examples=100, deadline=None)
@given(data=_FOREIGN)
def test_a_head_that_nobody_knows_is_refused(data: bytes) -> None:
    if data[:5] not in {codec.head_of(each) for each in _TYPES}:
        with pytest.raises(ValueError, match="unknown"):
            codec.decode(memoryview(data))


def _decodes_to(cls: type[Plain], data: bytes) -> None:
    try:
        found = codec.decode(memoryview(data))
    except ValueError:  # which msgspec's errors are, too
        return
    assert type(found) is cls
