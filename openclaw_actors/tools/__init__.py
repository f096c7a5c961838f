"""Owns the tools, their registry and their policy."""

__all__: list[str] = []
