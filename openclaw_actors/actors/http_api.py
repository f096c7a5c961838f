"""Carries out the operations under `/api`, by asking the supervisor what the command line asks it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable
from functools import cached_property
from typing import Any

from aiohttp import web

from openclaw_actors import __version__
from openclaw_actors.actors.http_context import HttpContext
from openclaw_actors.actors.http_operations import Call, OperationRoutes, Streamed
from openclaw_actors.actors.log_tail import search_log
from openclaw_actors.channels.http.inputs import EXPORT_TYPES
from openclaw_actors.channels.http.openapi import openapi_document
from openclaw_actors.channels.http.operations import OPERATIONS
from openclaw_actors.channels.http.views import (
    CallerView,
    HealthView,
    LogsView,
    StatusView,
    TimelineView,
    VersionView,
    health_view,
    status_view,
)
from openclaw_actors.config import find_paths
from openclaw_actors.core.exporting import FORMATS, about
from openclaw_actors.core.log_lines import LogQuery
from openclaw_actors.core.timeline import timeline
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    ApprovalList,
    ApprovalOutcome,
    ArchiveList,
    ArchivesPurged,
    DecideApproval,
    DeleteSession,
    Done,
    DrainGateway,
    EventsPage,
    GetApprovals,
    GetEvents,
    GetSessions,
    GetStatus,
    ListArchives,
    ListOutbox,
    OutboxDone,
    OutboxPage,
    PurgeArchives,
    PurgeOutbox,
    ReadRecords,
    RecordsPage,
    Reload,
    Reloaded,
    RestartActor,
    RestartSession,
    RestoreSession,
    RetentionReport,
    RetryOutbox,
    RunRetention,
    SessionDeleted,
    SessionDetail,
    SessionList,
    SessionRestored,
    ShowSession,
    Shutdown,
    StopActor,
    StopSession,
)

__all__ = ["ApiRoutes"]

_ACT_S = 15.0
"""For what may have to wait for a process to end; as long as the command line waits."""
_MOVE_S = 100.0
"""For what may stop a running turn first, and wait for the disk."""
_RETENTION_LIMIT = 100
_RELOAD_S = 300.0
"""For what may have to wait for a server of MCP to come up, and for the one before once more."""
_PATIENCE_S = 15.0
"""For so long a page of an export is asked for again while the store is being restarted."""
_POLL_S = 0.2
_TIMELINE_BYTES = 524_288
"""Of a journal's end; turns before it are left out."""
_LEAVE_S = 0.2
"""For an answer to leave."""
_HERE = "http"
_ABOVE_AND_HERE = (_HERE, "supervisor")
"""Actors whose end is the end of this process."""
_NAME = "openclaw-actors"
_EVENT_STREAM = "text/event-stream"


class ApiRoutes:
    """The group of routes under `/api`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        config = context.config
        self._log = find_paths(config.state_dir, config.memory.storage_path, os.environ).logs / "gateway.log"
        self._searching = asyncio.Semaphore(1)
        handlers = {operation.name: getattr(self, operation.name) for operation in OPERATIONS}
        self._routes = OperationRoutes(context, OPERATIONS, handlers)

    def routes(self) -> Iterable[web.RouteDef]:
        """A route for each operation."""
        return self._routes.routes()

    # The gateway

    async def get_status(self, call: Call) -> StatusView:
        """The tree of actors."""
        return status_view(await self._ask(GetStatus()))

    async def get_health(self, call: Call) -> HealthView:
        """What the supervisor says of health."""
        return health_view(await self._context.health.health())

    async def follow_events(self, call: Call) -> Streamed:
        """The tree and what changes in it."""
        pieces = self._context.live.follow()
        await anext(pieces)  # it has begun, and will end as such
        return Streamed(pieces=pieces, media_type=_EVENT_STREAM)

    async def search_logs(self, call: Call) -> LogsView:
        """The end of the log, one search at a time."""
        query = call.query
        wanted = LogQuery(
            correlation=query.correlation, session=query.session, contains=query.contains, level=query.level
        )
        async with self._searching:
            tail = await asyncio.to_thread(
                search_log,
                self._log,
                wanted,
                limit=query.limit,
                max_bytes=self._context.config.http.log_tail_bytes,
            )
        return LogsView(lines=tail.lines, searched_bytes=tail.searched_bytes, more=tail.more)

    async def get_version(self, call: Call) -> VersionView:
        """Ours."""
        return VersionView(name=_NAME, version=__version__)

    async def get_caller(self, call: Call) -> CallerView:
        """Whose token it was."""
        return CallerView(principal=call.principal, owner=call.is_owner, prefix=call.own_prefix)

    async def get_document(self, call: Call) -> dict[str, Any]:
        """The document, made when it is first asked for."""
        return self._document

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi_document(
            self._context.operations,
            version=__version__,
            token_required=self._context.principals.token_required,
        )

    async def drain(self, call: Call) -> Done:
        """Refuses new messages from now on, or takes them again."""
        return await self._act(DrainGateway(cancel=call.body.cancel))

    async def reload(self, call: Call) -> Reloaded:
        """Has the configuration read again; this channel, if it has to be restarted, is so after the answer."""
        message = Reload(dry_run=call.body.dry_run, through=_HERE)
        done: Reloaded = await self._context.ask_supervisor(message, timeout_s=_RELOAD_S)
        return done

    async def shut_down(self, call: Call) -> Done:
        """Begins the end; the answer comes before it."""
        done: Done = await self._ask(Shutdown(grace_s=call.body.grace_seconds))
        return done

    # Sessions

    async def list_sessions(self, call: Call) -> SessionList:
        """The caller's conversations."""
        query = call.query
        sessions: SessionList = await self._ask(
            GetSessions(
                offset=query.offset,
                limit=query.limit,
                contains=query.contains,
                state=query.state,
                prefix=call.own_prefix if query.mine else call.prefix,
            )
        )
        return sessions

    async def get_session(self, call: Call) -> SessionDetail:
        """One conversation."""
        detail: SessionDetail = await self._ask(ShowSession(session=call.path.key, last=call.query.last))
        return detail

    async def list_events(self, call: Call) -> EventsPage:
        """A page of a conversation's events."""
        query = call.query
        page: EventsPage = await self._ask(
            GetEvents(session=call.path.key, after_seq=query.after, max_events=query.limit)
        )
        return page

    async def get_timeline(self, call: Call) -> TimelineView:
        """How its turns went in time."""
        key = call.path.key
        message = ReadRecords(name=key, max_bytes=4 * _TIMELINE_BYTES, newest_bytes=_TIMELINE_BYTES)
        page: RecordsPage = await self._ask(message)
        return TimelineView(session=key, turns=timeline(page.records, last=call.query.last))

    async def stop_session(self, call: Call) -> Done:
        """Ends the running turn."""
        return await self._act(StopSession(session=call.path.key, queue=call.body.queue))

    async def restart_session(self, call: Call) -> Done:
        """Restarts a conversation's process."""
        return await self._act(RestartSession(session=call.path.key))

    async def delete_session(self, call: Call) -> SessionDeleted:
        """Moves a conversation to the archive."""
        message = DeleteSession(session=call.path.key, purge=call.query.purge)
        deleted: SessionDeleted = await self._context.ask_supervisor(message, timeout_s=_MOVE_S)
        return deleted

    async def restore_session(self, call: Call) -> SessionRestored:
        """Gives a key its archived conversation back; another key's archive is none of it."""
        key, archive = call.path.key, call.body.archive
        if archive is not None:
            found: ArchiveList = await self._ask(ListArchives(name=archive, limit=1))
            if not found.archives or (found.archives[0].archive, found.archives[0].session) != (archive, key):
                raise AskRefused("unknown", f"no archive {archive} of session {key}")
        message = RestoreSession(name=archive or key, replace=call.body.replace)
        restored: SessionRestored = await self._context.ask_supervisor(message, timeout_s=_MOVE_S)
        return restored

    async def export_session(self, call: Call) -> Streamed:
        """A whole conversation, read page by page as the client takes it."""
        page: RecordsPage = await self._ask(ReadRecords(name=call.path.key))
        format_ = call.query.format
        return Streamed(pieces=self._export(call.path.key, page, format_), media_type=EXPORT_TYPES[format_])

    async def _export(self, key: str, page: RecordsPage, format_: str) -> AsyncGenerator[bytes]:
        export = FORMATS[format_]()
        yield export.begin(about(page, exported_at=time.time())).encode(errors="replace")
        while True:
            yield "".join(map(export.record, page.records)).encode(errors="replace")
            if not page.cursor:
                break
            page = await self._next_page(ReadRecords(name=page.archive or key, cursor=page.cursor))
        yield export.end().encode()

    async def _next_page(self, message: ReadRecords) -> RecordsPage:
        """Asks again while the store is being restarted: what was sent already cannot be taken back."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                page: RecordsPage = await self._ask(message)
            except AskRefused as refusal:
                if refusal.code != "unavailable" or time.monotonic() > deadline:
                    raise
            else:
                return page
            await asyncio.sleep(_POLL_S)

    # Archives

    async def list_archives(self, call: Call) -> ArchiveList:
        """The caller's archives."""
        query = call.query
        found: ArchiveList = await self._ask(
            ListArchives(offset=query.offset, limit=query.limit, contains=query.contains, prefix=call.prefix)
        )
        return found

    async def purge_archive(self, call: Call) -> ArchivesPurged:
        """Removes an archive for good; a session's key is no archive."""
        archive = call.path.archive
        found: ArchiveList = await self._ask(ListArchives(name=archive, limit=1))
        if not found.archives or found.archives[0].archive != archive:
            raise AskRefused("unknown", f"no archive {archive}")
        message = PurgeArchives(names=(archive,))
        purged: ArchivesPurged = await self._context.ask_supervisor(message, timeout_s=_MOVE_S)
        return purged

    async def run_retention(self, call: Call) -> RetentionReport:
        """Archives and removes what the configuration says."""
        message = RunRetention(dry_run=call.body.dry_run, limit=_RETENTION_LIMIT)
        report: RetentionReport = await self._context.ask_supervisor(message, timeout_s=_MOVE_S)
        return report

    # Tools that wait

    async def list_approvals(self, call: Call) -> ApprovalList:
        """Tools that wait for a person."""
        found: ApprovalList = await self._ask(GetApprovals())
        return found

    async def approve_tool(self, call: Call) -> Done:
        """Lets one run."""
        return await self._decide(call.path.approval, approved=True)

    async def deny_tool(self, call: Call) -> Done:
        """Does not let one run."""
        return await self._decide(call.path.approval, approved=False)

    async def _decide(self, approval_id: str, *, approved: bool) -> Done:
        message = DecideApproval(approval_id=approval_id, approved=approved, by="operator")
        outcome: ApprovalOutcome = await self._context.ask_supervisor(message, timeout_s=_ACT_S)
        if outcome.status != "decided":
            code = "unknown" if outcome.status == "unknown" else "already_decided"
            raise AskRefused(code, outcome.text)
        return Done(text=outcome.text, code="approved" if approved else "denied")

    # The outbox

    async def list_outbox(self, call: Call) -> OutboxPage:
        """Replies that were not sent."""
        query = call.query
        states = () if query.state == "any" else (query.state,)
        page: OutboxPage = await self._ask(ListOutbox(states=states, offset=query.offset, limit=query.limit))
        return page

    async def retry_outbox(self, call: Call) -> OutboxDone:
        """Has one tried again."""
        return await self._about_reply(RetryOutbox(session=call.path.key, seq=call.path.seq))

    async def purge_outbox(self, call: Call) -> OutboxDone:
        """Forgets one."""
        return await self._about_reply(PurgeOutbox(session=call.path.key, seq=call.path.seq))

    async def _about_reply(self, message: RetryOutbox | PurgeOutbox) -> OutboxDone:
        done: OutboxDone = await self._context.ask_supervisor(message, timeout_s=_ACT_S)
        return done

    # Actors

    async def stop_actor(self, call: Call) -> Done:
        """Ends an actor; the answer leaves before the process that gives it ends."""
        name = call.path.name
        if name == _HERE:
            self._context.ask_supervisor_soon(StopActor(name=name), after_s=_LEAVE_S)
            return Done(text=f"{name} is stopped", code="stopped")
        return await self._act(StopActor(name=name))

    async def restart_actor(self, call: Call) -> Done:
        """Restarts any actor by its name; the answer leaves before the process that gives it ends."""
        name = call.path.name
        if name in _ABOVE_AND_HERE:
            self._context.ask_supervisor_soon(RestartActor(name=name), after_s=_LEAVE_S)
            return Done(text=f"{name} is restarted")
        return await self._act(RestartActor(name=call.path.name))

    # Asking

    async def _ask(self, message: Any) -> Any:
        return await self._context.ask_supervisor(message)

    async def _act(self, message: Any) -> Done:
        done: Done = await self._context.ask_supervisor(message, timeout_s=_ACT_S)
        return done
