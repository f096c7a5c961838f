"""Decides where the sockets of a test lie: in a directory whose name is short enough for them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture
def run_dir() -> Iterator[str]:
    """A directory for sockets, removed afterwards."""
    path = tempfile.mkdtemp(prefix="oca-")
    yield path
    shutil.rmtree(path)
