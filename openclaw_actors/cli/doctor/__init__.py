"""Owns `doctor`: one module for each thing that is looked at, and what finds, shows and repairs."""

__all__: list[str] = []
