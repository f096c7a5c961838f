"""What operators ask the supervisor for about the store as a whole: backups and retention. The store does it."""

from __future__ import annotations

from typing import Protocol, cast

from openclaw_actors.actors.operations import Operations
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import (
    Address,
    BackupBegun,
    BackupEnded,
    BackupPage,
    BeginBackup,
    EndBackup,
    ReadBackup,
    RetentionReport,
    RunRetention,
)

__all__ = ["StoreRequests"]

_BEGIN_S = 600.0
"""A second name is given to every file of the store."""
_READ_S = 30.0
_RETENTION_S = 600.0


class _Supervisor(Protocol):
    _operations: Operations


class StoreRequests:
    """Handlers of the supervisor."""

    @handles(BeginBackup)
    async def begin_backup(self: _Supervisor, message: BeginBackup, sender: Address) -> BackupBegun:
        """Has a backup begun."""
        return cast(BackupBegun, await self._operations.ask("persistence", message, timeout_s=_BEGIN_S))

    @handles(ReadBackup)
    async def read_backup(self: _Supervisor, message: ReadBackup, sender: Address) -> BackupPage:
        """Passes a page of it on."""
        return cast(BackupPage, await self._operations.ask("persistence", message, timeout_s=_READ_S))

    @handles(EndBackup)
    async def end_backup(self: _Supervisor, message: EndBackup, sender: Address) -> BackupEnded:
        """Has it forgotten."""
        return cast(BackupEnded, await self._operations.ask("persistence", message))

    @handles(RunRetention)
    async def run_retention(self: _Supervisor, message: RunRetention, sender: Address) -> RetentionReport:
        """Has what is too old archived and removed."""
        return cast(
            RetentionReport, await self._operations.ask("persistence", message, timeout_s=_RETENTION_S)
        )
