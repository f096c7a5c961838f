"""What operators ask the PersistenceActor for about backups of the store."""

from __future__ import annotations

from openclaw_actors import __version__
from openclaw_actors.actors.store_handlers import StoreHandlers
from openclaw_actors.actors.store_refusals import refusals
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import (
    Address,
    BackupBegun,
    BackupEnded,
    BackupPage,
    BackupPiece,
    BeginBackup,
    EndBackup,
    ReadBackup,
)
from openclaw_actors.store.backup_files import Place
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.migrations import FORMAT

__all__ = ["BackupHandlers"]

_MAX_PAGE_BYTES = 1_048_576


class BackupHandlers(StoreHandlers):
    """Of backups."""

    @handles(BeginBackup)
    async def begin_backup(self, message: BeginBackup, sender: Address) -> BackupBegun:
        """Fixes what belongs to a backup."""
        with refusals():
            begun = await self._open_store().backups.begin(message.backup)
        return BackupBegun(
            backup=begun.name,
            at=begun.at,
            files=begun.files,
            size_bytes=begun.size_bytes,
            version=__version__,
            store_format=FORMAT,
        )

    @handles(ReadBackup)
    async def read_backup(self, message: ReadBackup, sender: Address) -> BackupPage:
        """Reads some of it."""
        place = Place(message.number, message.offset)
        max_bytes = min(message.max_bytes, _MAX_PAGE_BYTES)
        with refusals():
            read = await self._open_store().backups.read(message.backup, place, max_bytes=max_bytes)
        after = read.after or place
        return BackupPage(
            pieces=tuple(BackupPiece(**piece._asdict()) for piece in read.pieces),
            number=after.number,
            offset=after.offset,
            complete=read.after is None,
        )

    @handles(EndBackup)
    def end_backup(self, message: EndBackup, sender: Address) -> BackupEnded:
        """Forgets it."""
        try:
            self._open_store().backups.end(message.backup)
        except StoreRefusal:
            pass  # it is over already
        return BackupEnded()
