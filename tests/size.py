"""Decides how much the heavy tests do: enough to find what they look for; with `FULL_TESTS=1`, as much as they can."""

from __future__ import annotations

__all__ = ["FULL"]

import os

FULL = os.environ.get("FULL_TESTS", "") == "1"
