from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.place import Workplace


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workspace that does not exist yet, and what lies beside it."""
    return Workplace(tmp_path)
