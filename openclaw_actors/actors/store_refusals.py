"""Turns the store's refusals into those of an ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from openclaw_actors.errors import AskRefused
from openclaw_actors.store import StoreRefusal

__all__ = ["refusals"]


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What the store refuses in this block is refused to whoever asked, with the same code."""
    try:
        yield
    except StoreRefusal as refusal:
        raise AskRefused(refusal.code, refusal.text) from None
