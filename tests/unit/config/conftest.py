"""Decides where the tests of the configuration run: in a directory without a file, with an environment of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from openclaw_actors import config
from tests.unit.config.world import Load


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as `g.yaml`: `load(text, over={key: value}, VARIABLE=value)`."""
    monkeypatch.chdir(tmp_path)

    def do(
        text: str | bytes | None = "", *, over: Mapping[str, object] | None = None, **environ: str
    ) -> config.Loaded:
        path = None
        if text is not None:
            path = Path("g.yaml")
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return config.load(path, {"HOME": "/home/me", **environ}, over or {})

    return do
