"""Replies that were not sent by SMS, over HTTP: seen, tried again, forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.system.api.client import Api
from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until
from tests.system.sms.fake_twilio import FakeTwilio
from tests.system.sms.people import outbox, settings, write

LOST, WRONG = "+15550001111", "+0"


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    fake = FakeTwilio().start()
    yield fake
    fake.stop()


def entry_path(entry: Any, rest: str = "") -> str:
    return f"/api/outbox/{quote(entry['session'], safe='')}/{entry['seq']}{rest}"


def test_what_was_set_aside_is_listed_tried_again_and_forgotten(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    tokens = {"auth_token": "raw:owner-token", "auth": {"tokens": {"alice": "raw:alice-token"}}}
    gateway = make_gateway(config={**settings(twilio), **tokens}).start()
    owner, alice = Api(gateway.http_url, token="owner-token"), Api(gateway.http_url, token="alice-token")
    assert owner.get("/api/outbox") == {"entries": [], "total": 0, "counts": {}}
    twilio.behave("reset")
    write(gateway, LOST, "lost")
    write(gateway, WRONG, "wrong number")
    wait_until(
        lambda: owner.get("/api/outbox")["counts"] == {"ambiguous": 1, "dead": 1},
        what="both are set aside",
        deadline_s=30.0,
    )
    assert owner.get("/api/outbox") == outbox(gateway, "list")
    (ambiguous,) = owner.get("/api/outbox?state=ambiguous")["entries"]
    (dead,) = owner.get("/api/outbox?state=dead&limit=1")["entries"]
    assert (ambiguous["session"], dead["session"]) == (f"sms:{LOST}", f"sms:{WRONG}")

    for method, path in (("GET", "/api/outbox"), ("DELETE", entry_path(dead))):
        assert alice(method, path).status == 403
    assert owner("DELETE", entry_path({**dead, "seq": 99})).status == 404
    assert owner("DELETE", f"/api/outbox/{quote(dead['session'], safe='')}/0").body["error"]["field"] == "seq"
    assert owner("DELETE", entry_path(dead)).body == {"count": 1, "sessions": [f"sms:{WRONG}"]}
    assert owner("DELETE", entry_path(dead)).status == 404
    assert owner("POST", entry_path(ambiguous, "/retry")).body["count"] == 1
    assert twilio.wait_for_bodies(LOST, 1) == ["(This may be a repetition.) echo: lost"]
    wait_until(lambda: owner.get("/api/outbox")["total"] == 0, what="nothing is left")
    gateway.stop()
