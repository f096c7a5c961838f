"""Owns the list of Thespian's tests that do not apply to our base, each with its reason."""

from __future__ import annotations

__all__ = ["is_hurried", "reason_to_skip"]

from collections.abc import Collection

_CONVENTION = "two systems that find each other by network address: conventions are not supported yet"
_REGISTRATION = "registers a remote system by its IP address and port: conventions are not supported yet"

_SKIPPED_BY_FIXTURE = {"asys_pair": _CONVENTION, "asys_trio": _CONVENTION}
"""Name of a fixture that a test asks for -> why it is not run."""

_SKIPPED = {
    "test_manyActorSystems.py::": _CONVENTION,
    "test_multipleActorSystems.py::": _CONVENTION,
    "test_HAConvention.py::": _CONVENTION,
    "test_preRegistration.py::": _REGISTRATION,
}
"""Part of a test's id -> why it is not run."""

_HURRIED = ("test_confused_exit", "test04_verifyNotification")
"""Tests that give an actor which shall exit the time of one round trip and one creation, until its parent has to know;
and those that give a source which is loaded or unloaded five round trips, until an actor has to know.

The stock bases take ten times as long for these, and announce an exit before it happens; ours reports a process that
has ended.
"""


def reason_to_skip(nodeid: str, fixtures: Collection[str]) -> str | None:
    """Return why this test does not apply, or None."""
    for fixture, reason in _SKIPPED_BY_FIXTURE.items():
        if fixture in fixtures:
            return reason
    return next((reason for part, reason in _SKIPPED.items() if part in nodeid), None)


def is_hurried(nodeid: str) -> bool:
    """Say whether this test needs a pause after it has asked an actor to exit, or has loaded a source."""
    return any(part in nodeid for part in _HURRIED)
