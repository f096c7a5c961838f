"""How the PersistenceActor archives what is too old or too much, now and then or when an operator wants it.

The store finds what it is by the files. Each conversation is archived by the router, which alone knows that nobody uses
it, and holds back who writes to it meanwhile; so nothing is ever taken from under a person's hands.
"""

from __future__ import annotations

import logging

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.store_handlers import StoreHandlers
from openclaw_actors.actors.store_refusals import refusals
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.retention import Limits, Retirable
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Address,
    Directory,
    RetentionReport,
    RetiredSession,
    RetireSession,
    RunRetention,
    SessionRetired,
)

__all__ = ["RetentionHandlers"]

logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
_HOUR_S = 3_600.0
_MB = 1_048_576
_ROUTER_S = 90.0
_IN_USE = ("in_use", "busy", "draining", "dirty", "unknown")
_A_RUN = 1_000
"""At most so many conversations, and archives, are taken in one run by the clock; the next one goes on."""


class RetentionHandlers(StoreHandlers):
    """Of retention."""

    _limits = Limits()
    _interval_s = 0.0
    _retaining = False
    _router: ServiceDirectory | None = None

    def _begin_retention(self, config: GatewayConfig, directory: Directory) -> None:
        retention = config.retention
        self._limits = Limits(
            max_age_s=retention.max_age_days * _DAY_S,
            max_bytes=retention.max_total_mb * _MB,
            min_idle_s=retention.min_idle_hours * _HOUR_S,
            archive_max_age_s=retention.archive_max_age_days * _DAY_S,
            archive_max_bytes=retention.archive_max_total_mb * _MB,
        )
        self._router = ServiceDirectory(directory)
        if retention.enabled and self._limits.any:
            self._interval_s = retention.interval_seconds
            _of(self).call_later(self._interval_s, self._retain_by_the_clock)

    def _learn_router(self, message: Directory) -> None:
        if self._router is not None:
            self._router.update(message)

    def _retain_by_the_clock(self) -> None:
        actor = _of(self)
        actor.call_later(self._interval_s, self._retain_by_the_clock)
        if not self._retaining:
            actor.spawn(self._retain_and_log(), name="retention")

    async def _retain_and_log(self) -> None:
        try:
            if not self._open_store().is_confirmed():
                return
            report = await self._retain(RunRetention(limit=_A_RUN))
        except AskRefused as refusal:
            logger.error("what is too old could not be archived: %s", refusal)
            return
        if report.archived or report.purged or report.failed:
            logger.info(
                "retention: %d conversations archived, %d archives removed for good, %d in use, %d failed",
                len(report.archived),
                len(report.purged),
                report.kept,
                report.failed,
            )

    @handles(RunRetention)
    async def run_retention(self, message: RunRetention, sender: Address) -> RetentionReport:
        """Archives and removes now, or only says what."""
        return await self._retain(message)

    async def _retain(self, message: RunRetention) -> RetentionReport:
        if self._retaining:
            raise AskRefused("busy", "retention runs already; wait for its end")
        self._retaining = True
        try:
            return await self._do_retain(message)
        finally:
            self._retaining = False

    async def _do_retain(self, message: RunRetention) -> RetentionReport:
        done: list[RetiredSession] = []
        kept = failed = 0
        more = False
        with refusals():
            found = await self._open_store().retention.to_retire(self._limits)
        for each in found:
            if len(done) >= message.limit:
                more = True
                break
            try:
                done.append(await self._retire(each, dry_run=message.dry_run))
            except AskRefused as refusal:
                if refusal.code in _IN_USE:
                    kept += 1
                else:
                    failed += 1
                    logger.warning("%s is too old and cannot be archived: %s", each.session, refusal)
        with refusals():
            purged, more_archives = await self._open_store().retention.purge(
                self._limits, limit=message.limit, dry_run=message.dry_run
            )
        return RetentionReport(
            dry_run=message.dry_run,
            archived=tuple(done),
            purged=tuple(purged),
            kept=kept,
            failed=failed,
            more=more or more_archives,
            limited=self._limits.any,
        )

    async def _retire(self, found: Retirable, *, dry_run: bool) -> RetiredSession:
        """Archives one; raises AskRefused if it is in use, or cannot be archived."""
        with refusals():
            await self._open_store().retention.check(found)
        archive = ""
        if not dry_run:
            assert self._router is not None
            wanted = RetireSession(session=found.session, idle_since=found.idle_since)
            retired: SessionRetired = await self._router.ask(_of(self), "router", wanted, timeout_s=_ROUTER_S)
            archive = retired.archive
        return RetiredSession(
            session=found.session,
            last_active_at=found.used_at,
            size_bytes=found.size_bytes,
            archive=archive,
        )


def _of(handlers: RetentionHandlers) -> AsyncActor:
    assert isinstance(handlers, AsyncActor)
    return handlers
