"""Holds the actors: a mailbox in, effects of the core out, one file each."""

__all__: list[str] = []
