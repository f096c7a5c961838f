"""Owns the limits of one session's process: what the configuration allows it, and what it says beyond that."""

from __future__ import annotations

import logging
import os
import resource
import time

from openclaw_actors import logs
from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.models import choices_of
from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.compaction import CompactionLimits
from openclaw_actors.messages import CallFailed, TurnDone, Usage

__all__ = ["give_way", "limit_memory", "log_end", "session_limits", "too_large"]

logger = logging.getLogger(__name__)

_BATCH, _PRIORITY = os.SCHED_BATCH, os.sched_param(0)
_MEGABYTE = 1024 * 1024
_MAX_ANSWER_CHARS = 4_000_000
_BYTES_PER_CHAR = 8
"""Of a record, at most: six for the worst character in JSON, and room for what else stands there."""


def too_large(call_id: str) -> CallFailed:
    """The end of a call that cannot even be sent."""
    return CallFailed(
        call_id=call_id,
        code="too_large",
        text="This conversation has become too large for a model call. Please start a new one.",
        streamed=False,
        usage=Usage(),
        model_seconds=0.0,
    )


def log_end(event: TurnDone, began_at: float, correlation: str | None) -> None:
    """Writes a turn's end into the log.

    Args:
        began_at: monotonic seconds; 0: not known.
    """
    seconds = time.monotonic() - began_at if began_at else 0.0
    level = logging.INFO if event.status in ("completed", "stopped") else logging.WARNING
    because = f" ({event.code})" if event.code else ""
    if not logger.isEnabledFor(level):
        return
    with logs.bind(correlation=correlation):
        logger.log(level, "%s ended %s%s after %.3f s", event.turn_id, event.status, because, seconds)


def limit_memory(megabytes: int) -> None:
    """Lets a conversation that eats memory die alone, instead of whom the kernel picks."""
    if megabytes:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = megabytes * _MEGABYTE
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def give_way() -> None:
    """Lets the services finish what they do when this process wakes up (SCHED_BATCH, sched(7)).

    Work gathers in the services meanwhile and is done in larger portions, and one that spins is in nobody's way.
    """
    try:
        os.sched_setscheduler(0, _BATCH, _PRIORITY)
    except OSError as error:
        logger.debug("the scheduler's policy stays as it is: %s", error)


def session_limits(config: GatewayConfig) -> SessionLimits:
    """The limits of one session, from the configuration."""
    return SessionLimits(
        max_pending=config.sessions.max_pending,
        busy_mode=config.sessions.busy_mode,
        busy_modes={str(name): mode for name, mode in config.sessions.busy_mode_by_channel.items()},
        window_turns=config.memory.max_history_turns,
        compaction=CompactionLimits(
            automatic=config.memory.enable_compaction,
            threshold_turns=config.memory.compaction_threshold,
            threshold_chars=config.memory.compaction_threshold_chars,
            keep_recent=config.memory.compaction_keep_recent,
        ),
        token_budget=config.sessions.token_budget,
        rate_limit_per_minute=config.sessions.rate_limit_per_minute,
        turn_token_budget=config.sessions.turn_token_budget,
        tokens_per_day=config.llm.tokens_per_day_per_principal,
        max_model_calls=config.tooling.max_iterations,
        model=choices_of(config.llm)[0],
        models=choices_of(config.llm) if config.llm.models and config.llm.provider != "demo" else (),
        max_equal_calls=config.tooling.max_identical_calls,
        approval_timeout_s=config.tooling.approval_timeout_seconds,
        accept_timeout_s=config.websocket.accept_timeout_seconds,
        max_answer_chars=min(_MAX_ANSWER_CHARS, config.memory.max_record_bytes // _BYTES_PER_CHAR),
    )
