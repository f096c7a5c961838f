"""What groups of handlers have in common that the actor with the store takes over."""

from __future__ import annotations

from openclaw_actors.store import FileStore

__all__ = ["StoreHandlers"]


class StoreHandlers:
    """Handlers that the PersistenceActor has by deriving from them; each group stands in a module of its own."""

    def _open_store(self) -> FileStore:
        """The store, which is the actor's; raises AskRefused `unavailable` while there is none."""
        raise NotImplementedError
