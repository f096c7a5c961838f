"""Decides on what Thespian's own test suite runs: our system base. A pytest plug-in.

    pytest -c /dev/null --import-mode=importlib -p no:logging -p tests.thespian_suite.plugin --pyargs thespian.test

Thespian's tests import the fixture `asys` by name from `thespian.test`, where it is parametrised over Thespian's bases.
The plug-in replaces it there before any test module is imported. Tests that do not apply are skipped with their reason;
see `expectations.py`.
"""

from __future__ import annotations

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]

import contextlib
import functools
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import thespian.test
from thespian.actors import ActorExitRequest, ActorSystem
from thespian.system.timing import timePeriodSeconds

from openclaw_actors.actorsystem import Limits, UnixSystemBase
from tests.thespian_suite.expectations import is_hurried, reason_to_skip

BASE_NAME = "multiprocUnixBase"
"""Thespian's tests ask the name of a base what they can do on it; "multiproc": signal its actors."""

LIMITS = Limits(frame=64 * 1024 * 1024, peer_queue=128 * 1024 * 1024, stop_s=2.0)
"""Some of its tests send messages of 50 MB."""

_PAUSE_S = 0.7
"""What an actor may take to exit and its parent to know of it, or a source to be loaded and whoever asked to know it,
on a busy machine. The tests themselves wait for 0.05 s and more, or for 0.025, which is enough on an idle one."""

_PATIENCE_S = 4.0
"""What an answer may take; some of the tests would wait for 0.2 s."""

_stack = contextlib.ExitStack()


def _system(stack: contextlib.ExitStack, capabilities: dict[str, Any]) -> ActorSystem:
    """Start a system that ends with `stack`."""
    # Not mkdtemp: a test allows no underscore in an address.
    run_dir = os.path.join(tempfile.gettempdir(), "ths-" + secrets.token_hex(6))
    os.mkdir(run_dir, 0o700)
    stack.callback(shutil.rmtree, run_dir)
    base = UnixSystemBase(run_dir=run_dir, capabilities=capabilities, limits=LIMITS)
    system = ActorSystem(systemBase=base, capabilities=capabilities, transientUnique=True)
    stack.callback(system.shutdown)
    system.base_name = BASE_NAME
    system.port_num = None
    system.txonly = False
    return system


@pytest.fixture
def asys(request: pytest.FixtureRequest) -> Iterator[ActorSystem]:
    """An actor system on our base, with the capabilities that Thespian's tests expect."""
    with _stack:
        capabilities = {"Foo Allowed": True, "Cows Allowed": True, "Dogs Allowed": True, "dog": "food"}
        system = _system(_stack, capabilities)
        system.ask = functools.partial(_ask_patiently, system.ask)
        if is_hurried(request.node.nodeid):
            system.tell = functools.partial(_tell_and_pause, system.tell)
            system.loadActorSource = functools.partial(_load_and_pause, system.loadActorSource)
            system.unloadActorSource = functools.partial(_load_and_pause, system.unloadActorSource)
        yield system


def _ask_patiently(
    ask: Callable[[Any, Any, Any], Any], address: Any, message: Any, timeout: float | timedelta | None = None
) -> Any:
    return ask(address, message, None if timeout is None else max(timePeriodSeconds(timeout), _PATIENCE_S))


def _tell_and_pause(tell: Callable[[Any, Any], None], address: Any, message: Any) -> None:
    tell(address, message)
    if isinstance(message, ActorExitRequest):
        time.sleep(_PAUSE_S)


def _load_and_pause(load: Callable[[Any], Any], source: Any) -> Any:
    loaded = load(source)
    time.sleep(_PAUSE_S)
    return loaded


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
    """Put our fixtures and waits where Thespian's tests import them from."""
    thespian.test.asys = asys
    thespian.test.asys2 = asys2
    thespian.test.similar_asys = similar_asys
    thespian.test.delay_for_next_of_kin_notification = lambda _system: time.sleep(_PAUSE_S)
    thespian.test.inTestDelay = lambda period: time.sleep(_PAUSE_S + timePeriodSeconds(period))


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Skip what does not apply, each with its reason."""
    for item in items:
        if hasattr(item.module, "max_replacement_delay"):  # how long its actors wait for a child's successor
            item.module.max_replacement_delay = timedelta(seconds=_PATIENCE_S - 1.0)
        reason = reason_to_skip(item.nodeid, list(getattr(item, "fixturenames", ())))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
