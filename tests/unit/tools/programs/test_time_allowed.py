"""How long a program may run: what was asked for, within what the tool and the operator allow."""

from __future__ import annotations

import msgspec
import pytest

from openclaw_actors.config import GatewayConfig
from openclaw_actors.tools.reports import time_allowed


@pytest.mark.parametrize(
    ("asked_s", "operator_s", "allowed_s"),
    [(20, 30, 20), (100, 30, 30), (0, 30, 1), (-5, 30, 1), (100_000, 0, 600), (100, 0, 100), (20, 0.5, 0.5)],
)
def test_the_time_is_the_nearest_that_is_allowed(asked_s: float, operator_s: float, allowed_s: float) -> None:
    config = msgspec.convert({"tooling": {"tool_timeout_seconds": operator_s}}, GatewayConfig)
    assert time_allowed(asked_s, config, most_s=600) == allowed_s
