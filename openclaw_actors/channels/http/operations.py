"""Owns the operations under `/api`: what the command line can do, for programs and web pages; and the health pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from openclaw_actors.channels.http.declaring import Operation
from openclaw_actors.channels.http.inputs import (
    EXPORT_TYPES,
    ActorPath,
    ApprovalPath,
    ArchivePath,
    ArchivesQuery,
    DeleteQuery,
    DrainBody,
    EventsQuery,
    ExportQuery,
    LogsQuery,
    OutboxPath,
    OutboxQuery,
    ReloadBody,
    RestoreBody,
    RetentionBody,
    SessionPath,
    SessionQuery,
    SessionsQuery,
    ShutdownBody,
    StopBody,
    TimelineQuery,
)
from openclaw_actors.channels.http.views import (
    CallerView,
    HealthView,
    LogsView,
    StatusView,
    TimelineView,
    VersionView,
)
from openclaw_actors.channels.pages import HealthPage, UnreadyPage
from openclaw_actors.messages.admin import (
    Done,
    SessionDeleted,
    SessionDetail,
    SessionList,
    SessionRestored,
)
from openclaw_actors.messages.approvals import ApprovalList
from openclaw_actors.messages.archive import ArchiveList, ArchivesPurged
from openclaw_actors.messages.backup import RetentionReport
from openclaw_actors.messages.outbox import OutboxDone, OutboxPage
from openclaw_actors.messages.persistence import EventsPage
from openclaw_actors.messages.reload import Reloaded

__all__ = ["HEALTH_OPERATIONS", "OPERATIONS"]


def _session(name: str, method: Literal["GET", "POST", "DELETE"], path: str, **fields: Any) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=f"/api/sessions/{{key}}{path}",
        tag="sessions",
        access="session",
        parameters=SessionPath,
        **fields,
    )


def _health(name: str, path: str, summary: str, also: Mapping[int, Any]) -> Operation:
    return Operation(
        name=name,
        method="GET",
        path=path,
        summary=summary,
        tag="health",
        access="anyone",
        answer=HealthPage,
        also=also,
        checked=False,
    )


HEALTH_OPERATIONS: tuple[Operation, ...] = (
    _health("health", "/health", "The gateway lives.", {}),
    _health("health_live", "/health/live", "The gateway lives.", {}),
    _health("health_ready", "/health/ready", "Whether messages can be taken now.", {503: UnreadyPage}),
)
"""For probes."""

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="get_status",
        method="GET",
        path="/api/status",
        summary="The tree of actors, with counters and health.",
        detail="The same as `status --json`.",
        tag="gateway",
        answer=StatusView,
    ),
    Operation(
        name="get_health",
        method="GET",
        path="/api/health",
        summary="Whether the gateway is healthy, and what fails if not.",
        tag="gateway",
        access="principal",
        answer=HealthView,
    ),
    Operation(
        name="follow_events",
        method="GET",
        path="/api/events",
        summary="Follow the gateway: the tree of actors, then what changes in it, health and numbers.",
        detail=(
            "Server-sent events without an end: `snapshot`, `actors`, `health`, `memory`, `numbers`, and `dropped` as "
            "the last one for who does not take them fast enough. There is no replay: who comes again begins with a "
            "snapshot."
        ),
        tag="gateway",
        media_types=("text/event-stream",),
        refusals=(409,),
    ),
    Operation(
        name="search_logs",
        method="GET",
        path="/api/logs",
        summary="The newest lines of the log that are wanted.",
        detail="Of the log's end only; what looks like a secret was taken out when it was written.",
        tag="gateway",
        query=LogsQuery,
        answer=LogsView,
    ),
    Operation(
        name="get_version",
        method="GET",
        path="/api/version",
        summary="Which version runs.",
        tag="gateway",
        access="principal",
        answer=VersionView,
    ),
    Operation(
        name="get_caller",
        method="GET",
        path="/api/me",
        summary="Who the caller is.",
        tag="gateway",
        access="principal",
        answer=CallerView,
    ),
    Operation(
        name="get_document",
        method="GET",
        path="/api/openapi.json",
        summary="This document.",
        tag="gateway",
        access="anyone",
        answer=dict[str, Any],
    ),
    Operation(
        name="drain",
        method="POST",
        path="/api/drain",
        summary="Refuse new messages, and go on with what was accepted.",
        detail="Until the gateway is shut down, or this is cancelled.",
        tag="gateway",
        body=DrainBody,
        answer=Done,
        refusals=(409,),
    ),
    Operation(
        name="reload",
        method="POST",
        path="/api/reload",
        summary="Read the configuration again, and run on it without a restart.",
        detail=(
            "The same as `reload --json`. `code` says what came of it; with `refused` the configuration is broken, "
            "`problems` says why, and nothing has changed. Where this channel itself has to be restarted, that comes "
            "after the answer."
        ),
        tag="gateway",
        body=ReloadBody,
        answer=Reloaded,
        refusals=(409,),
    ),
    Operation(
        name="shut_down",
        method="POST",
        path="/api/shutdown",
        summary="Drain and end the gateway.",
        detail="The same as `stop`: new messages are refused, running turns may finish, then everything ends.",
        tag="gateway",
        body=ShutdownBody,
        answer=Done,
        status=202,
    ),
    Operation(
        name="list_sessions",
        method="GET",
        path="/api/sessions",
        summary="Conversations, live and stored, the last active first.",
        detail="A principal sees its own.",
        tag="sessions",
        access="principal",
        query=SessionsQuery,
        answer=SessionList,
    ),
    _session(
        "get_session",
        "GET",
        "",
        summary="One conversation and its newest events.",
        query=SessionQuery,
        answer=SessionDetail,
        refusals=(409,),
    ),
    _session(
        "list_events",
        "GET",
        "/events",
        summary="A conversation's durable events, by page.",
        detail="The next page begins after the `seq` of the last event; `complete` says that there is none yet.",
        query=EventsQuery,
        answer=EventsPage,
        refusals=(409,),
    ),
    _session(
        "get_timeline",
        "GET",
        "/timeline",
        summary="How a conversation's newest turns went in time.",
        detail=(
            "From the times of its records, each made just before it was written: how long a write took they do not "
            "tell, and what a turn did before a kill is told by what was recorded of it."
        ),
        query=TimelineQuery,
        answer=TimelineView,
        refusals=(409,),
    ),
    _session(
        "stop_session",
        "POST",
        "/stop",
        summary="End the running turn.",
        detail="The answer comes when the end is durable, and also where nothing runs.",
        body=StopBody,
        answer=Done,
        refusals=(409,),
    ),
    _session(
        "restart_session",
        "POST",
        "/restart",
        summary="Restart a conversation's process.",
        detail="It continues at its last record. One without a process is left as it is.",
        answer=Done,
        refusals=(409,),
    ),
    _session(
        "delete_session",
        "DELETE",
        "",
        summary="Move a conversation to the archive.",
        detail="What runs in it is stopped, and what waits in it ends unanswered; the next message begins anew.",
        query=DeleteQuery,
        answer=SessionDeleted,
        refusals=(409,),
    ),
    _session(
        "restore_session",
        "POST",
        "/restore",
        summary="Give a key its archived conversation back.",
        body=RestoreBody,
        answer=SessionRestored,
        refusals=(409,),
    ),
    _session(
        "export_session",
        "GET",
        "/export",
        summary="A whole conversation.",
        detail=(
            "As `sessions export`: what it is, then the records of its journal in order. "
            "Of a key without a conversation: its newest archive."
        ),
        query=ExportQuery,
        media_types=tuple(EXPORT_TYPES.values()),
        refusals=(409,),
    ),
    Operation(
        name="list_archives",
        method="GET",
        path="/api/archives",
        summary="Archived conversations, the newest archive first.",
        detail="A principal sees its own.",
        tag="archives",
        access="principal",
        query=ArchivesQuery,
        answer=ArchiveList,
    ),
    Operation(
        name="purge_archive",
        method="DELETE",
        path="/api/archives/{archive}",
        summary="Remove an archive for good.",
        tag="archives",
        parameters=ArchivePath,
        answer=ArchivesPurged,
        refusals=(409,),
    ),
    Operation(
        name="run_retention",
        method="POST",
        path="/api/retention/run",
        summary="Archive what is too old or too much, and remove such archives for good.",
        detail=(
            "By the section `retention` of the configuration, now, whether it is enabled or not; "
            "at most 100 of each: `more` says that there are others."
        ),
        tag="archives",
        body=RetentionBody,
        answer=RetentionReport,
        refusals=(409,),
    ),
    Operation(
        name="list_approvals",
        method="GET",
        path="/api/approvals",
        summary="Tools that wait for a person's decision, the longest waiting first.",
        tag="approvals",
        answer=ApprovalList,
    ),
    *(
        Operation(
            name=name,
            method="POST",
            path=f"/api/approvals/{{approval}}/{name.partition('_')[0]}",
            summary=summary,
            detail="The first decision counts; a later one is refused and told what was decided.",
            tag="approvals",
            parameters=ApprovalPath,
            answer=Done,
            refusals=(409,),
        )
        for name, summary in (
            ("approve_tool", "Let a tool run."),
            ("deny_tool", "Do not let a tool run; the model is told."),
        )
    ),
    Operation(
        name="list_outbox",
        method="GET",
        path="/api/outbox",
        summary="Replies that were not sent by SMS yet, the longest waiting first.",
        detail="Those in the states `dead` and `ambiguous` wait for a person; all others are being sent.",
        tag="outbox",
        query=OutboxQuery,
        answer=OutboxPage,
    ),
    Operation(
        name="retry_outbox",
        method="POST",
        path="/api/outbox/{key}/{seq}/retry",
        summary="Try a dead or ambiguous reply again.",
        detail=(
            "Of an ambiguous one the carrier's list is asked first; what it does not show is sent, labelled as a "
            "possible repetition."
        ),
        tag="outbox",
        parameters=OutboxPath,
        answer=OutboxDone,
        refusals=(409,),
    ),
    Operation(
        name="purge_outbox",
        method="DELETE",
        path="/api/outbox/{key}/{seq}",
        summary="Forget a dead or ambiguous reply; it stays in its conversation.",
        tag="outbox",
        parameters=OutboxPath,
        answer=OutboxDone,
        refusals=(409,),
    ),
    Operation(
        name="stop_actor",
        method="POST",
        path="/api/actors/{name}/stop",
        summary="End an actor.",
        detail=(
            "A channel stays stopped until it is restarted; a session leaves memory and comes back with its next "
            "message. What the others cannot do without is not stopped."
        ),
        tag="actors",
        parameters=ActorPath,
        answer=Done,
        refusals=(409,),
    ),
    Operation(
        name="restart_actor",
        method="POST",
        path="/api/actors/{name}/restart",
        summary="Restart an actor.",
        detail="`supervisor` restarts everything; `http` restarts who answers here, after the answer.",
        tag="actors",
        parameters=ActorPath,
        answer=Done,
    ),
)
