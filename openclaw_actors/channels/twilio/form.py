"""Decides what stands in the form that Twilio posts: every field, blank and repeated ones too, since all are signed."""

from __future__ import annotations

from urllib.parse import parse_qsl

__all__ = ["CONTENT_TYPE", "MAX_BODY_BYTES", "MAX_FIELDS", "Fields", "FormError", "only", "parse_form"]

MAX_BODY_BYTES = 65_536
MAX_FIELDS = 1_000
CONTENT_TYPE = "application/x-www-form-urlencoded"

Fields = tuple[tuple[str, str], ...]
"""Names and values, in their order."""


class FormError(Exception):
    """Raised when a form cannot be read, or a field of it; its text says which and why, without the value."""


def parse_form(body: bytes) -> Fields:
    """Take a form apart.

    Raises:
        FormError: it is not UTF-8, or has more than `MAX_FIELDS` fields.
    """
    try:
        found = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except UnicodeDecodeError:
        raise FormError("The form is not UTF-8.") from None
    except ValueError:
        raise FormError(f"The form has more than {MAX_FIELDS} fields.") from None
    return tuple(found)


def only(fields: Fields, name: str) -> str:
    """A field's value; empty where there is none.

    Raises:
        FormError: it is there more than once.
    """
    values = [value for each, value in fields if each == name]
    if len(values) > 1:
        raise FormError(f"{name} is there {len(values)} times; once is allowed.")
    return values[0] if values else ""
