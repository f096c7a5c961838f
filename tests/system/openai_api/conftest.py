"""Owns one gateway for the tests that leave it as it was, and OpenAI's clients for it."""

from __future__ import annotations

__all__ = ["shared"]

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.gateway import Gateway


@pytest.fixture(scope="module")
def shared() -> Iterator[Gateway]:
    """A running gateway on the demo provider, with the principals alice and bob; it must end in order."""
    directory = Path(tempfile.mkdtemp(prefix="oca-"))
    gateway = Gateway(
        directory,
        config={
            "auth": {"tokens": {"alice": "raw:alice-token", "bob": "raw:bob-token"}},
            "http": {"stream_keepalive_seconds": 0.3, "send_timeout_seconds": 1},
            "llm": {"retry_count": 0},
            "security": {"allowed_origins": ["https://chat.example"]},
            "tooling": {"require_tool_approval": True, "approval_required_tools": ["project_memory"]},
        },
    ).start()
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.close()
        shutil.rmtree(directory, ignore_errors=True)
