"""Owns the list of checks, in the order in which they are shown."""

from __future__ import annotations

__all__ = ["CHECKS", "SECURITY"]

from openclaw_actors.cli.doctor import (
    abilities,
    actors,
    certificate,
    clock,
    configuration,
    disk,
    exposure,
    leaks,
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

_CONFIGURATION = Check("configuration", configuration.look)
_STATE = Check("state directory", blocking(state.look))
_TWILIO = Check("twilio", twilio.look)
_EXPOSED = (
    Check("exposure", blocking(exposure.look)),
    Check("certificate", blocking(certificate.look)),
    Check("tools", blocking(abilities.look)),
    Check("leaks", blocking(leaks.look)),
)

SECURITY: tuple[Check, ...] = (_CONFIGURATION, *_EXPOSED, _STATE, _TWILIO)
"""Who can reach the gateway, with what, and who can read what it keeps."""

CHECKS: tuple[Check, ...] = (
    _CONFIGURATION,
    *_EXPOSED,
    Check("actors", actors.look),
    Check("ports", ports.look),
    _STATE,
    Check("disk", blocking(disk.look)),
    Check("store", store.look),
    Check("run directory", blocking(leftovers.look)),
    Check("provider", provider.look),
    _TWILIO,
    Check("clock", clock.look),
    Check("limits", blocking(limits.look)),
    Check("memory", memory.look),
    Check("versions", blocking(versions.look)),
    Check("log", blocking(logfile.look)),
)
