"""Owns the list of checks, in the order in which they are shown."""

from __future__ import annotations

__all__ = ["CHECKS"]

from openclaw_actors.cli.doctor import (
    actors,
    clock,
    configuration,
    disk,
    exposure,
    leftovers,
    limits,
    logfile,
    memory,
    ports,
    provider,
    state,
    store,
    twilio,
    versions,
)
from openclaw_actors.cli.doctor.runner import Check, blocking

CHECKS: tuple[Check, ...] = (
    Check("configuration", configuration.look),
    Check("exposure", blocking(exposure.look)),
    Check("actors", actors.look),
    Check("ports", ports.look),
    Check("state directory", blocking(state.look)),
    Check("disk", blocking(disk.look)),
    Check("store", store.look),
    Check("run directory", blocking(leftovers.look)),
    Check("provider", provider.look),
    Check("twilio", twilio.look),
    Check("clock", clock.look),
    Check("limits", blocking(limits.look)),
    Check("memory", memory.look),
    Check("versions", blocking(versions.look)),
    Check("log", blocking(logfile.look)),
)
