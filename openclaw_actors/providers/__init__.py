"""Owns the calls of model providers."""

from __future__ import annotations

from openclaw_actors.providers.base import Answer, CallError, OnDelta, Provider
from openclaw_actors.providers.calls import Caller, CallLimits
from openclaw_actors.providers.demo import FAULT_TOOL
from openclaw_actors.providers.endpoints import Unusable
from openclaw_actors.providers.factory import create_caller, create_pool
from openclaw_actors.providers.formats import estimate_usage
from openclaw_actors.providers.pool import ModelPool

__all__ = [
    "FAULT_TOOL",
    "Answer",
    "CallError",
    "CallLimits",
    "Caller",
    "ModelPool",
    "OnDelta",
    "Provider",
    "Unusable",
    "create_caller",
    "create_pool",
    "estimate_usage",
]
