"""Owns the bodies of the pages about health that every port of ours answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from openclaw_actors.messages.base import Value

__all__ = ["HealthPage", "UnreadyPage", "health_page", "readiness_page"]


class HealthPage(Value, kw_only=True):
    """All is well."""

    status: Literal["ok"] = "ok"
    uptime: float
    """In seconds."""


class UnreadyPage(Value, kw_only=True):
    """Messages cannot be taken now."""

    status: Literal["unavailable"] = "unavailable"
    failing: tuple[str, ...]
    """What fails, a line each; `GET /api/health` and `openclaw-actors health --ready` say why."""
    uptime: float
    """In seconds."""


def health_page(uptime_s: float) -> bytes:
    """The process lives."""
    return msgspec.json.encode(HealthPage(uptime=round(uptime_s, 3))) + b"\n"


def readiness_page(*, ready: bool, problems: Sequence[str], uptime_s: float) -> tuple[int, bytes]:
    """Status and body: whether people can be served, and what fails if not.

    Nobody is asked for a token, so the reasons, which may name files and addresses, are left out.
    """
    if ready:
        return 200, health_page(uptime_s)
    page = UnreadyPage(failing=tuple(map(_without_reason, problems)), uptime=round(uptime_s, 3))
    return 503, msgspec.json.encode(page) + b"\n"


def _without_reason(problem: str) -> str:
    return ": ".join(problem.partition(" (")[0].split(": ")[:2])
