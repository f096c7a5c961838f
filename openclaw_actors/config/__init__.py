"""Owns the configuration: its keys, their rules, and where each value comes from."""

__all__: list[str] = []
