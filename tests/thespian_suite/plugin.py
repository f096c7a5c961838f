"""Decides on what Thespian's own test suite runs: our system base. A pytest plug-in.

    pytest -c /dev/null --import-mode=importlib -p tests.thespian_suite.plugin --pyargs thespian.test

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
from tests.thespian_suite.expectations import reason_to_fail, reason_to_skip

BASE_NAME = "openclawUnixBase"
LIMITS = Limits(frame=64 * 1024 * 1024, peer_queue=128 * 1024 * 1024, stop_s=2.0)


@contextlib.contextmanager
def _system(capabilities: dict[str, Any]) -> Iterator[ActorSystem]:
    run_dir = tempfile.mkdtemp(prefix="ths-")
    base = UnixSystemBase(run_dir=run_dir, capabilities=capabilities, limits=LIMITS)
    system = ActorSystem(systemBase=base, capabilities=capabilities, transientUnique=True)
    system.base_name = BASE_NAME
    system.port_num = None
    system.txonly = False
    try:
        yield system
    finally:
        system.shutdown()
        shutil.rmtree(run_dir)


@pytest.fixture
def asys() -> Iterator[ActorSystem]:
    """An actor system on our base, with the capabilities that Thespian's tests expect."""
    with _system({"Foo Allowed": True, "Cows Allowed": True, "Dogs Allowed": True, "dog": "food"}) as system:
        yield system


@pytest.fixture
def asys2(asys: ActorSystem) -> Iterator[ActorSystem]:
    """A second, unrelated actor system."""
    with _system({}) as system:
        yield system


def pytest_configure(config: pytest.Config) -> None:
    """Put our fixtures where Thespian's tests import them from."""
    thespian.test.asys = asys
    thespian.test.asys2 = asys2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what does not apply, and expect to fail what is listed as failing, each with its reason."""
    for item in items:
        fixtures = list(getattr(item, "fixturenames", ()))
        skip, fail = reason_to_skip(item.nodeid, fixtures), reason_to_fail(item.nodeid)
        if skip is not None:
            item.add_marker(pytest.mark.skip(reason=skip))
        elif fail is not None:
            item.add_marker(pytest.mark.xfail(reason=fail, strict=True))
