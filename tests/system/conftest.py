"""Decides how a system test gets its gateway, and that nothing of it survives the test."""

from __future__ import annotations

__all__ = ["GatewayFactory", "gateway", "make_gateway"]

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.gateway import Gateway

GatewayFactory = Callable[..., Gateway]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share a gateway in one worker."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture
def make_gateway() -> Iterator[GatewayFactory]:
    """A function that makes gateways, not started yet: `make_gateway(config={...}, demo=True)`.

    What a test has left running is killed at its end. A short directory is used: socket paths have a limit.
    """
    made: list[Gateway] = []
    root = Path(tempfile.mkdtemp(prefix="oca-"))

    def make(**options: object) -> Gateway:
        made.append(Gateway(root / str(len(made)), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def gateway(make_gateway: GatewayFactory) -> Iterator[Gateway]:
    """A running gateway with the demo provider. If the test leaves it running, it is stopped and must leave nothing.

    It is not waited for what the test has left unanswered.
    """
    running = make_gateway().start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop(grace_s=0.0)
