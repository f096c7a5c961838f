"""Decides whether single values are of their key's kind; knows no section by name."""

from __future__ import annotations

__all__ = ["Kind", "describe", "is_reference", "kind_of", "normalised", "problem_of_value", "show_value"]

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect

from openclaw_actors.config.problems import shown

_SECRET = re.compile(r"(?i:env):[A-Za-z_][A-Za-z0-9_]*|(?i:file):.+|(?i:raw):.+", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9.]+")
_BEYOND_USE = 10**9  # a bound that is not worth its place in a message
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """The type of a key without its wrapping."""

    type: inspect.Type
    rule: str = ""
    optional: bool = False

    @property
    def secret(self) -> bool:
        """Whether the value is a reference to a secret."""
        return self.rule == "secret"

    def refers(self, value: object) -> bool:
        """Whether this value is a reference to a secret, also where the key may hold something else."""
        if self.rule == "setting":
            return isinstance(value, str) and is_reference(value)
        return self.secret and isinstance(value, str)


def kind_of(wrapped: inspect.Type) -> Kind:
    """Take apart what `msgspec.inspect` tells of a field's type."""
    rule, optional, current = "", False, wrapped
    while True:
        if isinstance(current, inspect.Metadata):
            rule = rule or (current.extra or {}).get("rule", "")
            current = current.type
        elif isinstance(current, inspect.UnionType):
            optional = True
            (current,) = (each for each in current.types if not isinstance(each, inspect.NoneType))
        else:
            return Kind(type=current, rule=rule, optional=optional)


def describe(kind: Kind) -> str:
    """Say what may stand in a key, as the end of a sentence "… must be"."""
    if kind.rule in _RULES:
        return _RULES[kind.rule][0]
    match kind.type:
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() as number:
            return "a whole number" + _bounds(number)
        case inspect.FloatType() as number:
            return "a number" + _bounds(number)
        case inspect.VarTupleType(item_type=item):
            return f"a list; each entry {describe(kind_of(item))}"
        case inspect.DictType() | inspect.StructType():
            return "a mapping"
        case inspect.StrType(pattern=pattern) if pattern:
            return f"a text of the form {pattern}"
        case inspect.StrType(min_length=least):
            return "a text that is not empty" if least else "a text"
    return "a plain value"


def _bounds(number: inspect.IntType | inspect.FloatType) -> str:
    least = number.ge if number.ge is not None else number.gt
    most = number.le
    above = " above" if number.ge is None else ""
    if least is None or most is None:
        return ""
    if most >= _BEYOND_USE:
        return f"{above} {least:.15g}" if above else f" of at least {least:.15g}"
    return f"{above or ' from'} {least:.15g} {'and at most' if above else 'to'} {most:.15g}"


def is_reference(value: str) -> bool:
    """Whether a text is meant as a reference to a secret, even one that is not well-formed."""
    return re.match(r"(?i)(env|file|raw):", value) is not None


def show_value(kind: Kind, value: object) -> str:
    """Show a value in a message, but never one that could be a secret."""
    if kind.rule == "private":
        return "***"
    if kind.rule in ("secret", "setting") and not (
        isinstance(value, str) and re.match(r"(?i)(env|file):", value)
    ):
        return "***"
    if kind.rule == "url" and isinstance(value, str) and "@" in value:
        return "***"
    return shown(value)


def problem_of_value(kind: Kind, value: object) -> str | None:
    """Check a leaf value.

    Returns:
        None where it is good, "" where it is not what `describe` says, or a hint that says more.
    """
    if value is None:
        return None if kind.optional else ""
    match kind.type:
        case inspect.BoolType():
            return None if isinstance(value, bool) else ""
        case inspect.LiteralType(values=values):
            return None if value in values else ""
        case inspect.IntType() as number:
            return _number_problem(number, value, whole=True)
        case inspect.FloatType() as number:
            return _number_problem(number, value, whole=False)
        case inspect.StrType() as text:
            return _text_problem(text, kind.rule, value)
        case inspect.AnyType():
            return _free_problem(value)
    raise TypeError(f"no check for {kind.type!r}")


def _number_problem(number: inspect.IntType | inspect.FloatType, value: object, *, whole: bool) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return "write it without quotes" if isinstance(value, str) and _NUMBER.fullmatch(value) else ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if number.le is not None and value > number.le:
        return f"the most is {number.le:.15g}" if number.le >= _BEYOND_USE else ""
    high_enough = (number.ge is None or value >= number.ge) and (number.gt is None or value > number.gt)
    return None if high_enough else ""


def _text_problem(text: inspect.StrType, rule: str, value: object) -> str | None:
    if not isinstance(value, str):
        # YAML takes +15551234567, 022, on, and 2026-01-01 for something else than text.
        return "put it in quotes" if isinstance(value, int | float) or hasattr(value, "isoformat") else ""
    if any(char < " " and char not in "\t\n\r" for char in value) or "\x7f" in value:
        return "it holds a control character"
    if any("\ud800" <= char <= "\udfff" for char in value):
        return "it is not valid Unicode"
    if text.min_length and not value.strip():
        return ""
    if text.max_length and len(value) > text.max_length:
        return f"it is longer than {text.max_length} characters"
    if text.pattern and not re.fullmatch(text.pattern.removeprefix("^").removesuffix("$"), value):
        return ""
    return _RULES[rule][1](value) if rule in _RULES else None


def _free_problem(value: object) -> str | None:
    if isinstance(value, dict):
        return next((hint for hint in map(_free_problem, value.values()) if hint is not None), None)
    if isinstance(value, list):
        return next((hint for hint in map(_free_problem, value) if hint is not None), None)
    if isinstance(value, str):
        return _text_problem(inspect.StrType(), "", value)
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "put it in quotes"  # it would not survive the way to the plugin as a number
    return None if value is None or isinstance(value, int | float) else "put it in quotes"


def _secret_problem(value: str) -> str | None:
    if _SECRET.fullmatch(value):
        return None
    return "a bare value is not taken, so that a slip does not become a secret"


def _setting_problem(value: str) -> str | None:
    if is_reference(value) and not _SECRET.fullmatch(value):
        return "it begins like a reference; write raw:VALUE for a value that does"
    return None


def _nothing_more(_value: str) -> str | None:
    return None  # the pattern says it all


def _url_problem(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.username is not None or parts.password is not None:
        return "it must not hold a user name or a password"
    if any(char.isspace() for char in value) or parts.fragment:
        return ""
    return None if parts.scheme in ("http", "https") and host and _can_be_called(host) else ""


def _can_be_called(host: str) -> bool:
    """Whether a name or an address can be looked up at all; names may have letters of any language."""
    if ":" in host or host.isascii():
        return _host_problem(host) is None
    try:
        return _host_problem(host.encode("idna").decode()) is None
    except UnicodeError:
        return False


def _origin_problem(value: str) -> str | None:
    if _url_problem(value) is not None:
        return ""
    parts = urlsplit(value)
    return "leave out what follows the host and port" if parts.path or parts.query else None


def _network_problem(value: str) -> str | None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ""
    return None


def _host_problem(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if value == "*":
            return "write 0.0.0.0 or :: for every address"
        numeric = all(part.isdigit() for part in value.split("."))
        return None if _HOST_NAME.fullmatch(value) and not numeric and len(value) < 254 else ""
    return None


_RULES: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "secret": ("a reference of the form env:NAME, file:PATH or raw:VALUE", _secret_problem),
    "setting": ("a text, or a reference of the form env:NAME, file:PATH or raw:VALUE", _setting_problem),
    "mcp_name": (
        "1 to 32 of the characters A-Z a-z 0-9 _ -, with a letter or digit at both ends and no double underscore",
        _nothing_more,
    ),
    "header_name": ("the name of an HTTP header", _nothing_more),
    "name": ("1 to 64 of the characters A-Z a-z 0-9 _ . -", _nothing_more),
    "variable": ('the name of an environment variable, such as "SSH_AUTH_SOCK"', _nothing_more),
    "header": ("up to 500 printable ASCII characters", _nothing_more),
    "phone": ('a phone number such as "+15551234567"', _nothing_more),
    "path": ("a path that begins with / and holds no space, ?, #, { or }", _nothing_more),
    "url": ("an http:// or https:// URL", _url_problem),
    "origin": ("an origin such as https://chat.example", _origin_problem),
    "network": ("an IP address or network", _network_problem),
    "host": ("an IP address or a host name", _host_problem),
}


def normalised(kind: Kind, value: Any) -> Any:
    """Bring a value to its one spelling: choices are taken in any case."""
    if isinstance(kind.type, inspect.LiteralType) and isinstance(value, str):
        folded = value.strip().lower()
        return folded if folded in kind.type.values else value
    return value
