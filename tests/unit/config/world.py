"""Owns how a test loads a configuration: from a text and variables, and nothing of the machine's."""

from __future__ import annotations

__all__ = ["Load", "problems_of"]

from collections.abc import Callable

import pytest

from openclaw_actors.config import Loaded
from openclaw_actors.errors import ConfigError

Load = Callable[..., Loaded]


def problems_of(load: Load, text: str | bytes = "", **environ: str) -> list[str]:
    """Load what must be refused, and return what is said of it, without the directory of the test."""
    with pytest.raises(ConfigError) as refused:
        load(text, **environ)
    return str(refused.value).splitlines()
