"""What every message between actors has in common."""

from __future__ import annotations

from typing import Any, TypeAlias, dataclass_transform

import msgspec

__all__ = ["Address", "Message", "Plain", "Value"]

Address: TypeAlias = Any
"""An actor's address. Opaque here: only `actorsystem` and `actors` know that Thespian stands behind it."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _FrozenKeywordOnly(msgspec.StructMeta):
    """Makes `frozen` and `kw_only` the default of every subclass, for msgspec and for type checkers alike."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> _FrozenKeywordOnly:
        options.setdefault("frozen", True)
        options.setdefault("kw_only", True)
        return super().__new__(mcls, name, bases, namespace, **options)


class Value(msgspec.Struct, metaclass=_FrozenKeywordOnly):
    """A frozen value that stands inside messages and records."""


class Message(Value):
    """A frozen value that one actor sends to another.

    Its `str` is its type's name alone: Thespian formats messages into log lines, and user text must not get there.
    """

    def __str__(self) -> str:
        return type(self).__name__


class Plain(Message):
    """A message of text, numbers, addresses, and values made of them.

    It travels as MessagePack, which is written and read ten times faster than a pickle and cannot run code.
    """
