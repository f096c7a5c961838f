"""Owns the calls of model providers."""

from __future__ import annotations

__all__: list[str] = []
