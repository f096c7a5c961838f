"""Owns what the operations under `/api` take: the variables of their paths, their queries, their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from openclaw_actors.channels.http.declaring import Input

__all__ = [
    "EXPORT_TYPES",
    "ActorPath",
    "ApprovalPath",
    "ArchivePath",
    "ArchivesQuery",
    "DeleteQuery",
    "DrainBody",
    "EventsQuery",
    "ExportQuery",
    "LogsQuery",
    "OutboxPath",
    "OutboxQuery",
    "ReloadBody",
    "RestoreBody",
    "RetentionBody",
    "SessionPath",
    "SessionQuery",
    "SessionsQuery",
    "ShutdownBody",
    "StopBody",
    "TimelineQuery",
]

_DAY_S = 86_400
_MAX_KEY_CHARS = 512
_MAX_NAME_CHARS = 128
_MANY = 10**12

SessionKey: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=_MAX_KEY_CHARS, description="The session's key, percent-encoded.")
]
ActorName: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=_MAX_KEY_CHARS,
        description="A service, `supervisor`, or a session's key, as in the tree; percent-encoded.",
    ),
]
Offset: TypeAlias = Annotated[int, Meta(ge=0, le=_MANY, description="How many to leave out.")]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=1000, description="How many at most.")]


class SessionPath(Input):
    key: SessionKey


class ActorPath(Input):
    name: ActorName


class SessionsQuery(Input):
    offset: Offset = 0
    limit: Limit = 100
    contains: Annotated[
        str, Meta(max_length=_MAX_KEY_CHARS, description="Only keys that contain this, in any case.")
    ] = ""
    state: Annotated[
        Literal["any", "live", "stored", "quarantined"],
        Meta(description="Only those with a process; only those without; only those that were set aside."),
    ] = "any"
    mine: Annotated[
        bool, Meta(description="Only the caller's own, also where it may see those of others.")
    ] = False


class SessionQuery(Input):
    last: Annotated[int, Meta(ge=1, le=500, description="How many of its newest events.")] = 50


class EventsQuery(Input):
    after: Annotated[int, Meta(ge=0, le=_MANY, description="Only events with a higher `seq`.")] = 0
    limit: Annotated[
        int,
        Meta(ge=1, le=500, description="How many at most; fewer come where they are long."),
    ] = 100


class TimelineQuery(Input):
    last: Annotated[int, Meta(ge=1, le=200, description="How many of its newest turns.")] = 20


class LogsQuery(Input):
    correlation: Annotated[
        str, Meta(max_length=_MAX_NAME_CHARS, description="Only lines with this correlation id.")
    ] = ""
    session: Annotated[
        str, Meta(max_length=_MAX_KEY_CHARS, description="Only lines of the session with this key.")
    ] = ""
    contains: Annotated[
        str, Meta(max_length=_MAX_NAME_CHARS, description="Only lines whose text contains this.")
    ] = ""
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Only lines of this level and above; what the log keeps at all is `logging.level`."),
    ] = "debug"
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most, the newest.")] = 200


class StopBody(Input):
    queue: Annotated[bool, Meta(description="Also what waits behind the running turn.")] = False


class DeleteQuery(Input):
    purge: Annotated[bool, Meta(description="Remove it from the archive, too, for good.")] = False


EXPORT_TYPES: Mapping[str, str] = MappingProxyType(
    {"jsonl": "application/x-ndjson", "json": "application/json", "markdown": "text/markdown; charset=utf-8"}
)


class ExportQuery(Input):
    format: Annotated[
        Literal["jsonl", "json", "markdown"],
        Meta(description="A JSON document a record, one for all, or something to read."),
    ] = "jsonl"


class RestoreBody(Input):
    archive: Annotated[
        Annotated[str, Meta(min_length=1, max_length=_MAX_NAME_CHARS)] | None,
        Meta(description="Which of the conversation's archives; null: the newest."),
    ] = None
    replace: Annotated[
        bool, Meta(description="Archive what is under the key meanwhile, instead of refusing.")
    ] = False


class RetentionBody(Input):
    dry_run: Annotated[bool, Meta(description="Only say what would be done.")] = False


class ArchivesQuery(Input):
    offset: Offset = 0
    limit: Limit = 100
    contains: Annotated[
        str, Meta(max_length=_MAX_KEY_CHARS, description="Only those whose key or archive contains this.")
    ] = ""


class OutboxQuery(Input):
    offset: Offset = 0
    limit: Limit = 100
    state: Annotated[
        Literal[
            "any", "waiting", "prepared", "retrying", "sent", "confirmed", "suppressed", "ambiguous", "dead"
        ],
        Meta(description="Only those in this state; `ambiguous` and `dead` ones wait for a person."),
    ] = "any"


class OutboxPath(Input):
    key: SessionKey
    seq: Annotated[
        int, Meta(ge=1, le=_MANY, description="The number of the turn's end whose text is the reply.")
    ]


class ApprovalPath(Input):
    approval: Annotated[
        str, Meta(min_length=1, max_length=_MAX_NAME_CHARS, description="An approval's id, as in the list.")
    ]


class ArchivePath(Input):
    archive: Annotated[
        str, Meta(min_length=1, max_length=_MAX_NAME_CHARS, description="An archive, as in the list.")
    ]


class DrainBody(Input):
    cancel: Annotated[bool, Meta(description="Take new messages again.")] = False


class ReloadBody(Input):
    dry_run: Annotated[bool, Meta(description="Only say what would happen.")] = False


class ShutdownBody(Input):
    grace_seconds: Annotated[
        Annotated[float, Meta(ge=0, le=_DAY_S)] | None,
        Meta(description="How long running turns may go on; null: `graceful_shutdown_seconds`."),
    ] = None
