"""Writes who had which tool do what, a JSON line a call; secrets are masked, and no turn ever waits for the disk."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec

from openclaw_actors import logs
from openclaw_actors.linewriter import LineWriter
from openclaw_actors.tools.hooks import HookedCall, HookedResult

__all__ = ["AUDIT_NAME", "Audit"]

AUDIT_NAME = "audit.jsonl"
_MAX_ARGUMENT_CHARS = 4_000
_MAX_MASKED_CHARS = 16_000
"""Of arguments: what stands behind is cut before the masks are looked for, which takes time."""


class Audit:
    """The audit of one session.

    Args:
        writer: takes the lines.
    """

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def note(self, call: HookedCall, result: HookedResult) -> None:
        """One call ended, or did not run."""
        arguments = logs.redact(call.call.arguments[:_MAX_MASKED_CHARS])
        cut = len(arguments) > _MAX_ARGUMENT_CHARS or len(call.call.arguments) > _MAX_MASKED_CHARS
        line = {
            "at": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
            "session": call.session,
            "principal": call.principal,
            "turn": call.turn_id,
            "call": call.call.call_id,
            "tool": call.call.name,
            "arguments": arguments[:_MAX_ARGUMENT_CHARS],
            **({"argument_chars": len(call.call.arguments)} if cut else {}),
            "status": result.status,
            "seconds": round(result.seconds, 3),
            "result_chars": len(result.text),
        }
        self._writer.put(msgspec.json.encode(line))
