"""Owns the decisions: plain objects without clock, socket or actor system."""

__all__: list[str] = []
