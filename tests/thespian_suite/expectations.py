"""Owns the list of Thespian's tests that do not apply to our base, each with its reason."""

from __future__ import annotations

__all__ = ["NOT_APPLICABLE", "reason_to_skip"]

_CONVENTION = "two systems that find each other by network address: conventions are not supported yet"
_SECOND_BY_NAME = "makes its second system by the name of a base that ships with Thespian, in this process"

NOT_APPLICABLE: dict[str, str] = {
    "test_manyActorSystems.py::": _CONVENTION,
    "test_multipleActorSystems.py::": _CONVENTION,
    "test_HAConvention.py::": _CONVENTION,
    "test_ipbase.py::": "IP addresses of actors; ours are paths",
    "testConnectToExistingActorSystem": _SECOND_BY_NAME,
    "testConnectToStoppingActorSystem": _SECOND_BY_NAME,
}
"""Part of a test's id -> why it is not run."""


def reason_to_skip(nodeid: str) -> str | None:
    """Return why this test does not apply, or None."""
    for part, reason in NOT_APPLICABLE.items():
        if part in nodeid:
            return reason
    return None
