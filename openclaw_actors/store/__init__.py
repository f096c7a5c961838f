"""The file store: conversations as append-only journals with snapshots. A library without actors."""

from __future__ import annotations

from openclaw_actors.store.failures import StoreCannotOpen, StoreRefusal
from openclaw_actors.store.filestore import FileStore
from openclaw_actors.store.options import StoreOptions

__all__ = ["FileStore", "StoreCannotOpen", "StoreOptions", "StoreRefusal"]
