"""Decides on what Thespian's own test suite runs: our system base. A pytest plug-in.

    pytest -c /dev/null --import-mode=importlib -p no:logging -p tests.thespian_suite.plugin --pyargs thespian.test

Thespian's tests import the fixture `asys` by name from `thespian.test`, where it is parametrised over Thespian's bases.
The plug-in replaces it there before any test module is imported. Tests that do not apply are skipped with their reason;
see `expectations.py`.
"""

from __future__ import annotations

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import thespian.test
from thespian.actors import ActorSystem

from openclaw_actors.actorsystem import Limits, UnixSystemBase
from tests.thespian_suite.expectations import reason_to_skip

BASE_NAME = "multiprocUnixBase"
"""Thespian's tests ask the name of a base what they can do on it; "multiproc": signal its actors."""

LIMITS = Limits(frame=64 * 1024 * 1024, peer_queue=128 * 1024 * 1024, stop_s=2.0)
"""Some of its tests send messages of 50 MB."""

_stack = contextlib.ExitStack()


def _system(stack: contextlib.ExitStack, capabilities: dict[str, Any]) -> ActorSystem:
    """Start a system that ends with `stack`."""
    run_dir = tempfile.mkdtemp(prefix="ths-")
    stack.callback(shutil.rmtree, run_dir)
    base = UnixSystemBase(run_dir=run_dir, capabilities=capabilities, limits=LIMITS)
    system = ActorSystem(systemBase=base, capabilities=capabilities, transientUnique=True)
    stack.callback(system.shutdown)
    system.base_name = BASE_NAME
    system.port_num = None
    system.txonly = False
    return system


@pytest.fixture
def asys() -> Iterator[ActorSystem]:
    """An actor system on our base, with the capabilities that Thespian's tests expect."""
    with _stack:
        yield _system(
            _stack, {"Foo Allowed": True, "Cows Allowed": True, "Dogs Allowed": True, "dog": "food"}
        )


@pytest.fixture
def asys2(asys: ActorSystem) -> ActorSystem:
    """A second, unrelated actor system."""
    return similar_asys(asys)


def similar_asys(
    _asys: ActorSystem, *, capabilities: dict[str, Any] | None = None, **_options: bool
) -> ActorSystem:
    """Start an unrelated system beside another; it ends with the test. Thespian's name and arguments."""
    return _system(_stack, dict(capabilities or {}))


def pytest_configure(config: pytest.Config) -> None:
    """Put our fixtures where Thespian's tests import them from."""
    thespian.test.asys = asys
    thespian.test.asys2 = asys2
    thespian.test.similar_asys = similar_asys


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what does not apply, each with its reason."""
    for item in items:
        reason = reason_to_skip(item.nodeid, list(getattr(item, "fixturenames", ())))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
