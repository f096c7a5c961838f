"""What anybody may know of what fails."""

from __future__ import annotations

import json

import pytest

from openclaw_actors.channels.pages import readiness_page


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        ("http: draining", "http: draining"),
        ("draining", "draining"),
        ("sms: failed (the file /run/secrets/twilio cannot be read)", "sms: failed"),
        ("http: SMS is not served: file:/run/secrets/twilio", "http: SMS is not served"),
        ("persistence: failed 3 times", "persistence: failed 3 times"),
    ],
)
def test_nobody_learns_without_a_token_why_something_fails(problem: str, shown: str) -> None:
    status, body = readiness_page(ready=False, problems=(problem,), uptime_s=1.0)
    assert (status, json.loads(body)["failing"]) == (503, [shown])
