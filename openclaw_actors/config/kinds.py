"""Owns the kinds of value that a configuration key can have, with their bounds."""

from __future__ import annotations

__all__ = [
    "Bytes",
    "Count",
    "ListenPort",
    "Name",
    "PhoneNumber",
    "Port",
    "Positive",
    "Seconds",
    "SecretRef",
    "Section",
    "Setting",
    "Text",
    "Timeout",
    "Url",
    "VariableName",
]

from typing import Annotated

import msgspec
from msgspec import Meta

# The bounds above are far beyond any use; they keep a slip of the finger from overflowing a timer or an allocation.
_YEAR_S = 365 * 24 * 3600
_MANY = 10**12

Text = Annotated[str, Meta(min_length=1, max_length=65_536)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$", extra={"rule": "name"})]
VariableName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", extra={"rule": "variable"})]
PhoneNumber = Annotated[str, Meta(pattern=r"^[0-9A-Za-z:+*#-]{1,64}$", extra={"rule": "phone"})]
Url = Annotated[str, Meta(min_length=1, max_length=2_048, extra={"rule": "url"})]
SecretRef = Annotated[str, Meta(min_length=1, max_length=65_536, extra={"rule": "secret"})]
"""`env:NAME`, `file:PATH` or `raw:VALUE`; the value itself is taken only where it is needed."""

Setting = Annotated[str, Meta(max_length=65_536, extra={"rule": "setting"})]
"""The value itself, or a reference as `SecretRef` has it. Never shown, since it may be a secret."""

Port = Annotated[int, Meta(ge=1, le=65_535)]
ListenPort = Annotated[int, Meta(ge=0, le=65_535)]
"""0: any free port; `start` says which."""

Count = Annotated[int, Meta(ge=0, le=_MANY)]
Positive = Annotated[int, Meta(ge=1, le=_MANY)]
Bytes = Annotated[int, Meta(ge=256, le=2**40)]
Seconds = Annotated[float, Meta(ge=0, le=_YEAR_S)]
Timeout = Annotated[float, Meta(gt=0, le=_YEAR_S)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every section: immutable, named fields, no unknown keys."""
