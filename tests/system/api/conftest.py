"""Decides which tests of `/api` share a gateway: starting one costs more than most of them do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.gateway import Gateway


@pytest.fixture(scope="module")
def shared() -> Iterator[Gateway]:
    """A gateway for the tests of a module that each use conversations of their own, and leave it running."""
    directory = Path(tempfile.mkdtemp(prefix="oca-"))
    gateway = Gateway(directory / "0").start()
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.close()
        shutil.rmtree(directory, ignore_errors=True)
