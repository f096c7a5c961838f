"""Owns what the store refuses, as exceptions with a code."""

from __future__ import annotations

import errno
import os

from openclaw_actors.errors import StoreError

__all__ = ["StoreCannotOpen", "StoreRefusal", "unavailable"]


class StoreRefusal(StoreError):
    """Raised when the store does not do what it was asked for.

    Args:
        code: `corrupt`, `unavailable`, `fenced`, `gap`, `persistence_failed`, `dirty`, `unknown`,
            `busy`, `bad_key`, `too_large` or `too_many`.
        text: one line for a person.
    """

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.text else self.code


class StoreCannotOpen(StoreRefusal):
    """Raised when the store as a whole cannot be used.

    Args:
        code: `locked`, `unavailable`, `corrupt` or `configuration`.
    """


def unavailable(error: OSError) -> StoreRefusal:
    """An error of the operating system as a refusal that does not claim anything about the data."""
    name = errno.errorcode.get(error.errno or 0, "error")
    return StoreRefusal(
        "unavailable", f"the store cannot be reached: {os.strerror(error.errno or 0)} ({name})"
    )
