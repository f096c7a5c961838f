"""Decides what holds for all unit tests: how examples are made up, and where sockets lie."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from openclaw_actors import logs

# How long an example takes says what else the machine does.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture
def run_dir() -> Iterator[str]:
    """A directory for sockets, with a name that is short enough for them; removed afterwards."""
    path = tempfile.mkdtemp(prefix="oca-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Leaves the logging of the test run as it was."""
    root = logging.getLogger()
    handlers, level, raises = list(root.handlers), root.level, logging.raiseExceptions
    registered, installed = logs._registered, dict(logs._installed)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises
    logs._registered = registered
    logs._installed.clear()
    logs._installed.update(installed)
