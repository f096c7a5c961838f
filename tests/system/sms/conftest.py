"""Decides how a test of SMS gets its Twilio."""

from __future__ import annotations

__all__ = ["twilio"]

from collections.abc import Iterator

import pytest

from tests.system.sms.fake_twilio import FakeTwilio


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    fake = FakeTwilio().start()
    yield fake
    fake.stop()
