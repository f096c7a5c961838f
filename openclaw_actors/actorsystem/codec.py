"""Decides how a message becomes bytes: `Plain` ones as MessagePack, everything else as a pickle.

The first byte tells them apart. A plain message begins with a fingerprint of its type and fields, so that a process
of another version, such as an old command line, is refused instead of misread. An address in it is an extension of
MessagePack's, with the address's path. Pickles remain for Thespian's own messages and for text that UTF-8 cannot hold.
"""

from __future__ import annotations

__all__ = ["decode", "encode", "head_of"]

import os
import pickle
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from openclaw_actors.actorsystem.address import Address, address_key
from openclaw_actors.messages import Plain

_PICKLE = 0x80  # with which every pickle of protocol 2 or later begins
_PLAIN = 0x01
_HEAD = 5

_ADDRESS = 1


def _packed(value: Any) -> msgspec.msgpack.Ext:
    if value.__class__ is Address:
        return msgspec.msgpack.Ext(_ADDRESS, os.fsencode(address_key(value)))
    raise TypeError(f"a {type(value).__name__} is no plain value")


def _unpacked(code: int, data: memoryview) -> Address:
    if code != _ADDRESS:
        raise ValueError(f"an extension {code} is not known")
    return Address(os.fsdecode(bytes(data)))


_encode = msgspec.msgpack.Encoder(enc_hook=_packed).encode
_heads: dict[type, bytes] = {}
_decoders: dict[bytes, Callable[[memoryview], Any]] = {}


def encode(message: Any) -> bytes:
    """The message as bytes. Raises whatever pickling raises."""
    head = _heads.get(message.__class__)
    if head is not None:
        try:
            return head + _encode(message)
        except (TypeError, ValueError, OverflowError):
            pass  # lone surrogates, numbers beyond 64 bits: pickle takes them
    return pickle.dumps(message, 5)


def decode(payload: memoryview) -> Any:
    """Reads what `encode` wrote.

    Raises:
        ValueError: a plain message of a type that is not known here, or damaged; and whatever unpickling raises.
    """
    if payload[0] != _PLAIN:
        return pickle.loads(payload)
    decoder = _decoders.get(bytes(payload[:_HEAD]))
    if decoder is None:
        raise ValueError("a plain message of an unknown type")
    return decoder(payload[_HEAD:])


def head_of(message_type: type) -> bytes | None:
    """With which bytes messages of this type begin; None: they are pickled."""
    return _heads.get(message_type)


def _register(message_type: type[Plain]) -> None:
    for subtype in message_type.__subclasses__():
        _register(subtype)
    if message_type is Plain:
        return
    fields = ",".join(f"{each.name}:{each.type}" for each in msgspec.structs.fields(message_type))
    name = f"{message_type.__module__}.{message_type.__qualname__}({fields})"
    head = bytes([_PLAIN]) + zlib.crc32(name.encode()).to_bytes(_HEAD - 1, "little")
    assert head not in _decoders, "two types with one fingerprint: rename a field"
    _heads[message_type] = head
    _decoders[head] = msgspec.msgpack.Decoder(message_type, ext_hook=_unpacked).decode


_register(Plain)
