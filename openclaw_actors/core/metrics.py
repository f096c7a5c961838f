"""Decides which metrics there are: name, type, labels and meaning of each. Nothing else may be shown.

`docs/metrics.md`, the alert rules and the dashboard in `conf/` are tested against this list.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from openclaw_actors.core.series import buckets, series, split_series
from openclaw_actors.messages.events import TurnStatus

__all__ = [
    "LLM_RESULTS",
    "METRICS",
    "PREFIX",
    "REJECTIONS",
    "RESTART_REASONS",
    "SMS_REJECTIONS",
    "TOOL_STATUSES",
    "Metric",
    "channel_label",
    "is_detail",
    "kind_of",
    "rejected",
    "zeros",
]

PREFIX = "openclaw_"

REJECTIONS = (
    "bad_field",
    "bad_json",
    "budget",
    "busy",
    "draining",
    "message_id_conflict",
    "not_accepted",
    "persistence_failed",
    "quarantined",
    "rate_limited",
    "session_id_invalid",
    "unknown_type",
)
"""Why a message is not taken: the error codes of the protocol."""

SMS_REJECTIONS = (
    "bad_form",
    "bad_signature",
    "body_timeout",
    "body_too_large",
    "empty",
    "no_token",
    "not_a_form",
    "not_allowed",
    "opted_out",
    "text_too_long",
)
"""Why an SMS is not taken, beside these."""

RESTART_REASONS = (
    "died",
    "operator",
    "passivation_timeout",
    "start_timeout",
    "stop_timeout",
    "store_refused",
    "stuck",
)
"""Why a session's process is replaced."""

LLM_RESULTS = (
    "ok",
    "cancelled",
    "circuit_open",
    "configuration",
    "overloaded",
    "provider",
    "stream_broken",
    "timeout",
    "unknown_model",
)

TOOL_STATUSES = ("ok", "error", "denied", "timeout", "interrupted")

_CHANNELS = ("websocket", "http", "sms")
_LISTENERS = ("http", "websocket")
_SERVICES = ("http", "model", "persistence", "router", "sms", "websocket")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TURN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    """Without our prefix; a counter's ends in `_total`."""
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    """One line: what it says."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By name the values that are shown from the first scrape on, be it as zeros; others may come."""
    bounds: tuple[float, ...] = ()
    """Of a histogram."""
    unknown_at_first: bool = False
    """It is NaN, not 0, while nobody can tell it."""

    def zeros(self) -> dict[str, float]:
        """The series that are known before anything happens."""
        if self.kind == "histogram":
            return dict.fromkeys((*buckets(self.name, self.bounds), f"{self.name}_sum"), 0.0)
        first = math.nan if self.unknown_at_first else 0.0
        combinations = itertools.product(*self.labels.values())
        return {
            series(self.name, **dict(zip(self.labels, values, strict=True))): first for values in combinations
        }


METRICS = (
    # Sessions
    Metric(name="sessions_live", kind="gauge", help="Conversations that have a process now."),
    Metric(
        name="sessions_stored",
        kind="gauge",
        help="Conversations in the store, live ones included; NaN while they are not counted.",
        unknown_at_first=True,
    ),
    Metric(
        name="session_starts_total",
        kind="counter",
        help="Processes of conversations that were started, by why: somebody wrote or listened, a turn was open at the"
        " start of the gateway, or the process before it had died.",
        labels={"reason": ("message", "recovery", "restart")},
    ),
    Metric(
        name="session_restarts_total",
        kind="counter",
        help="Processes of conversations that ended without leave and are replaced, by why.",
        labels={"reason": RESTART_REASONS},
    ),
    Metric(
        name="session_passivations_total",
        kind="counter",
        help="Conversations that left memory in order, by why: idle for long, to make room for another, or because the"
        " connection that they belonged to was closed.",
        labels={"reason": ("idle", "room", "connection_closed")},
    ),
    # Messages
    Metric(
        name="messages_accepted_total",
        kind="counter",
        help="Messages from people that were recorded and got their receipt, repeated ones not counted again.",
        labels={"channel": _CHANNELS},
    ),
    Metric(
        name="messages_rejected_total",
        kind="counter",
        help="Messages from people that were not taken, by why.",
        labels={"channel": _CHANNELS, "reason": REJECTIONS},
    ),
    Metric(
        name="messages_duplicate_total",
        kind="counter",
        help="Messages that repeated an earlier one, and were answered with its outcome.",
        labels={"channel": _CHANNELS},
    ),
    Metric(
        name="rate_limit_hits_total",
        kind="counter",
        help="Requests over a rate limit, of a connection, an address or a conversation.",
        labels={"channel": _CHANNELS},
    ),
    # Turns
    Metric(
        name="turns_total",
        kind="counter",
        help="Turns that ended, by how.",
        labels={"status": get_args(TurnStatus)},
    ),
    Metric(
        name="turn_seconds",
        kind="histogram",
        help="From the beginning of a turn until its end was recorded, restarts included; waiting in the queue is not.",
        bounds=_TURN_SECONDS,
    ),
    Metric(
        name="turn_overhead_seconds",
        kind="histogram",
        help="The gateway's own part of a turn: turn_seconds without the time in which the model, or tools, worked."
        " Turns of which a part was lost with its process are left out.",
        bounds=_SECONDS,
    ),
    Metric(
        name="tool_calls_total",
        kind="counter",
        help="Calls of tools that ended, by tool and how; a tool that does not exist is `unknown`.",
        labels={"status": TOOL_STATUSES, "tool": ("unknown",)},
    ),
    # The store
    Metric(
        name="persistence_writes_total",
        kind="counter",
        help="Attempts to write the records that one conversation had waiting, by result.",
        labels={"result": ("ok", "failed")},
    ),
    Metric(
        name="persistence_retries_total", kind="counter", help="Writes that were tried again after a failure."
    ),
    Metric(
        name="persistence_exhausted_total",
        kind="counter",
        help="Writes that failed in every attempt: the message was refused, or is held in memory.",
    ),
    Metric(
        name="persistence_write_seconds",
        kind="histogram",
        help="Duration of a commit, which writes what waits of all conversations, fsync included.",
        bounds=_SECONDS,
    ),
    Metric(
        name="persistence_dirty_sessions",
        kind="gauge",
        help="Conversations with acknowledged records that only memory has.",
    ),
    Metric(name="persistence_records_total", kind="counter", help="Records that reached the disk."),
    Metric(name="persistence_snapshots_total", kind="counter", help="Snapshots that were written."),
    Metric(
        name="persistence_snapshots_failed_total",
        kind="counter",
        help="Snapshots that could not be written; they are tried again, and nothing is lost.",
    ),
    Metric(
        name="persistence_loads_total", kind="counter", help="Conversations that were read from the disk."
    ),
    Metric(
        name="persistence_torn_total",
        kind="counter",
        help="Journals that ended in a write which a crash had interrupted, and were cut back.",
    ),
    Metric(
        name="persistence_migrated_total",
        kind="counter",
        help="Conversations that were taken over from an older gateway.",
    ),
    Metric(
        name="persistence_quarantined_total",
        kind="counter",
        help="Damaged conversations that were set aside.",
    ),
    # The model
    Metric(
        name="llm_calls_total",
        kind="counter",
        help="Calls of the model that ended, by result.",
        labels={"result": LLM_RESULTS},
    ),
    Metric(
        name="llm_retries_total", kind="counter", help="Attempts of model calls that repeated a failed one."
    ),
    Metric(
        name="llm_tokens_total",
        kind="counter",
        help="Tokens as the provider counted them, or estimated where it did not.",
        labels={"direction": ("input", "output")},
    ),
    Metric(
        name="circuit_breaker_state",
        kind="gauge",
        help="The circuit breaker of the configured model: 0 closed, 1 open, 2 half open.",
    ),
    Metric(
        name="llm_model_calls_total",
        kind="counter",
        help="Calls that a model answered or failed, by its name in the configuration, and by result; models that stand"
        " there under no name are `other`.",
        labels={"model": ("other",), "result": LLM_RESULTS},
    ),
    Metric(
        name="llm_model_tokens_total",
        kind="counter",
        help="Tokens by the model that was asked.",
        labels={"direction": ("input", "output"), "model": ("other",)},
    ),
    Metric(
        name="llm_model_circuit_state",
        kind="gauge",
        help="The circuit breaker of each model: 0 closed, 1 open, 2 half open.",
        labels={"model": ("other",)},
    ),
    Metric(
        name="llm_fallbacks_total",
        kind="counter",
        help="How often a model was asked in the place of one that had failed before its first word.",
    ),
    Metric(
        name="llm_cache_tokens_total",
        kind="counter",
        help="Input tokens that the provider took from its prompt cache, or put into it.",
        labels={"kind": ("read", "write")},
    ),
    # The WebSocket channel
    Metric(name="ws_connections", kind="gauge", help="Clients that are connected to the WebSocket channel."),
    Metric(
        name="ws_slow_consumers_total",
        kind="counter",
        help="Connections that were closed because the client did not read.",
    ),
    Metric(
        name="connections_rejected_total",
        kind="counter",
        help="Connections over the limit, of the channel or of an address.",
        labels={"channel": _LISTENERS},
    ),
    # TLS
    Metric(
        name="tls_certificate_not_after_seconds",
        kind="gauge",
        help="Until when the certificate is valid that new connections are shown, as Unix time; 0 without TLS.",
        labels={"channel": _LISTENERS},
    ),
    Metric(
        name="tls_certificate_rejected",
        kind="gauge",
        help="1 while a new certificate or key cannot be used, and the one before it is shown.",
        labels={"channel": _LISTENERS},
    ),
    # SMS
    Metric(
        name="sms_keywords_total",
        kind="counter",
        help="SMS that said STOP, START or HELP, in one of the words for them.",
        labels={"keyword": ("stop", "start", "help")},
    ),
    Metric(name="sms_sent_total", kind="counter", help="Parts of replies that Twilio has taken."),
    Metric(
        name="sms_confirmed_total",
        kind="counter",
        help="Of these, those of which Twilio's list had to be asked whether it had taken them.",
    ),
    Metric(name="sms_retries_total", kind="counter", help="Parts that were tried again."),
    Metric(
        name="sms_suppressed_total",
        kind="counter",
        help="Replies that were not sent because the person has said STOP.",
    ),
    Metric(name="sms_waiting", kind="gauge", help="Conversations with a reply that is not sent yet."),
    Metric(
        name="sms_dead_letters",
        kind="gauge",
        help="Replies that Twilio does not take; they are set aside until somebody retries or purges them.",
    ),
    Metric(
        name="sms_ambiguous",
        kind="gauge",
        help="Replies of which nobody can say whether they were sent; they are set aside as the dead ones are.",
    ),
    # Processes
    Metric(
        name="actor_restarts_total",
        kind="counter",
        help="Deaths of services that were answered with another process; `supervisor` is everything below `start`.",
        labels={"actor": (*_SERVICES, "supervisor")},
    ),
    Metric(
        name="actors_failed",
        kind="gauge",
        help="Services and conversations that died too often in too short a time; they are still tried, but rarely.",
    ),
    Metric(
        name="mailbox_depth",
        kind="gauge",
        help="Messages that an actor has received and not finished; `sessions` is the sum over all conversations.",
        labels={"actor": ("sessions", *_SERVICES, "supervisor")},
    ),
    Metric(
        name="process_resident_bytes",
        kind="gauge",
        help="Resident memory, pages that processes share counted in each; `sessions` is the sum over all"
        " conversations.",
        labels={"actor": ("sessions", *_SERVICES, "supervisor")},
    ),
    Metric(
        name="dead_letters_total",
        kind="counter",
        help="Messages between actors that were not delivered, by who sent or, for `unknown_type`, got them. Most are"
        " sent again by whoever holds them.",
        labels={
            "actor": (*_SERVICES, "supervisor"),
            "reason": ("dead_target", "queue_full", "unknown_type"),
        },
    ),
    # The gateway
    Metric(
        name="drain_seconds",
        kind="gauge",
        help="While the gateway drains, for how long; else how long its last drain took, of earlier starts included.",
    ),
    Metric(
        name="start_time_seconds", kind="gauge", help="When the supervisor began, in seconds of Unix time."
    ),
)

_KINDS = {metric.name: metric.kind for metric in METRICS}
_PARTS = ("_bucket", "_sum")


def kind_of(key: str) -> Literal["counter", "gauge", "histogram"] | None:
    """The type of the metric that a series belongs to; None if there is no such metric."""
    name, _ = split_series(key)
    kind = _KINDS.get(name)
    if kind is not None:
        return kind
    whole = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), "")
    return "histogram" if _KINDS.get(whole) == "histogram" else None


def channel_label(session: str, channel: str) -> str:
    """How people know the channel that a message came by.

    Args:
        session: the session's key.
        channel: name of the channel's service.
    """
    return "sms" if session.startswith("sms:") else channel


def rejected(channel: str, code: str) -> tuple[str, ...]:
    """What to count when a message was not taken.

    Args:
        channel: as `channel_label` names it.
        code: why, one of the protocol's error codes or of `SMS_REJECTIONS`.
    """
    reason = code if code in REJECTIONS or code in SMS_REJECTIONS else "other"
    counted = series("messages_rejected_total", channel=channel, reason=reason)
    if code == "rate_limited":
        return (counted, series("rate_limit_hits_total", channel=channel))
    return (counted,)


def is_detail(key: str) -> bool:
    """Whether the series is a histogram's bucket, of little use to a person."""
    return split_series(key)[0].endswith("_bucket")


def zeros() -> dict[str, float]:
    """Every series that is shown from the first scrape on."""
    return {key: value for metric in METRICS for key, value in metric.zeros().items()}
