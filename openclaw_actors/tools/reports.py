"""Decides what the model is told of a program that ran."""

from __future__ import annotations

__all__ = ["notes", "report", "time_allowed"]

from collections.abc import Iterator

from openclaw_actors.config import GatewayConfig
from openclaw_actors.tools.programs import Ended


def time_allowed(asked_s: float, config: GatewayConfig, *, most_s: float) -> float:
    """How long a program may run: what the model asked for, from one second, within what the operator allows.

    Args:
        most_s: of this tool, in seconds.
    """
    asked_s = min(max(asked_s, 1.0), most_s)
    allowed_s = config.tooling.tool_timeout_seconds
    return min(asked_s, allowed_s) if allowed_s else asked_s


def report(ended: Ended, limit_s: float, config: GatewayConfig) -> str:
    """Exit code, stdout, stderr, and what else there is to know of a command."""
    code = "timeout" if ended.cause == "timeout" else str(ended.code)
    out, err = ended.stdout.text().rstrip("\n"), ended.stderr.text().rstrip("\n")
    lines = [f"[exit: {code}]"]
    if out:
        lines.append(out)
    if err:
        lines.append(f"[stderr]: {err}")
    return "\n".join([*lines, *notes(ended, limit_s, config)])


def notes(ended: Ended, limit_s: float, config: GatewayConfig) -> Iterator[str]:
    """What was left out of the output, and why it was ended if it did not end by itself; a line each."""
    for name, clip in (("stdout", ended.stdout), ("stderr", ended.stderr)):
        if clip.left_out:
            yield f"[truncated]: {clip.left_out} of {clip.total} bytes of {name} are left out"
    match ended.cause:
        case "timeout":
            yield f"[truncated]: it was ended after {limit_s:g} s"
        case "memory":
            limit = config.tooling.max_memory_mb
            yield f"[killed]: it used more than {limit} MiB of memory (tooling.max_memory_mb)"
        case "processes":
            limit = config.tooling.max_processes
            yield f"[killed]: it ran more than {limit} processes at once (tooling.max_processes)"
