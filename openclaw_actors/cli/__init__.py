"""Owns the command line, one file for each group of commands."""

__all__: list[str] = []
