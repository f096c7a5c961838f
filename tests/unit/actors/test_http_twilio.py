"""What Twilio is told when the session, the router or the store does not take a message."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from openclaw_actors.actors.http_context import HttpError
from openclaw_actors.actors.http_deliveries import NotTaken
from openclaw_actors.actors.http_twilio import TwilioRoutes
from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.features import ChannelsConfig, SmsConfig, TwilioConfig
from openclaw_actors.config.sections import HttpConfig
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Accepted,
    Contact,
    Done,
    Message,
    SetDoNotText,
    StopSession,
    TouchContact,
)

ANN, US = "+15551230001", "+15559990000"


class Around:
    """What is around the routes; everything they ask for is recorded and answered as the test says."""

    def __init__(self, *outcomes: Exception | None, store: Exception | None = None) -> None:
        twilio = TwilioConfig(
            enabled=True,
            validate_signature=False,
            allowed_from_numbers=(ANN,),
            allowed_to_numbers=(US,),
        )
        self.config = GatewayConfig(
            channels=ChannelsConfig(sms=SmsConfig(twilio=twilio)), http=HttpConfig(accept_timeout_seconds=1.5)
        )
        self.secrets = {"channels.sms.twilio.auth_token_ref": "t"}
        self.counters: Counter[str] = Counter()
        self.deliveries = SimpleNamespace(take=self.take)
        self.asked: list[Message] = []
        self.handed_over: list[tuple[str, str, str | None]] = []
        self.outcomes = list(outcomes)
        self.store = store
        self.body_error: HttpError | None = None

    async def take(self, *, session: str, text: str, message_id: str | None, patient: bool) -> Accepted:
        assert patient, "Twilio does not try again after a 429"
        self.handed_over.append((session, text, message_id))
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome is not None:
            raise outcome
        return Accepted(session=session, delivery_id="d", message_id=message_id or "")

    async def ask_service(self, name: str, message: Any, *, timeout_s: float) -> Contact:
        assert name == "persistence"
        self.asked.append(message)
        if self.store is not None:
            raise self.store
        return Contact(phone=message.phone, do_not_text=False, created_at=1.0, last_seen_at=1.0)

    async def ask_supervisor(self, message: Message, *, timeout_s: float) -> Done:
        self.asked.append(message)
        raise AskRefused("unavailable", "the supervisor does not answer")

    async def body_of(self, request: web.Request, *, max_bytes: int) -> bytes:
        if self.body_error is not None:
            raise self.body_error
        return await request.read()

    def post(self, *texts: str) -> list[tuple[int, str]]:
        """Status and text of each answer."""

        async def scene() -> list[tuple[int, str]]:
            app = web.Application()
            app.add_routes(TwilioRoutes(self).routes())  # type: ignore[arg-type]
            found = []
            async with TestClient(TestServer(app)) as client:
                for number, text in enumerate(texts):
                    form = {"From": ANN, "To": US, "Body": text, "MessageSid": f"SM{number}"}
                    async with client.post("/twilio/sms/inbound", data=form) as answer:
                        found.append((answer.status, await answer.text()))
            return found

        return asyncio.run(scene())


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("rate_limited", 200, "Too fast &amp; too much."),
        ("budget", 200, "Too fast &amp; too much."),
        ("message_id_conflict", 200, ""),
        ("quarantined", 200, ""),
        ("draining", 503, ""),
        ("not_accepted", 503, ""),
        ("persistence_failed", 503, ""),
        ("something new", 503, ""),
    ],
)
def test_a_message_that_is_not_taken(code: str, status: int, told: str) -> None:
    around = Around(NotTaken(code, "Too fast & too much."))
    ((found, text),) = around.post("hello")
    assert found == status
    assert (f"<Message>{told}</Message>" in text) if told else not text
    reason = "other" if code == "something new" else code
    assert around.counters[f'messages_rejected_total{{channel="sms",reason="{reason}"}}'] == 1
    assert around.counters['messages_accepted_total{channel="sms"}'] == 0


def test_a_full_queue_is_tried_again_while_there_is_time() -> None:
    around = Around(NotTaken("busy", ""), NotTaken("busy", ""), None)
    assert around.post("hello") == [(200, "")]
    assert around.handed_over == [(f"sms:{ANN}", "hello", "SM0")] * 3
    assert around.counters == {}, "it is counted where it is recorded"


def test_a_queue_that_stays_full_is_too_many_messages() -> None:
    around = Around(NotTaken("busy", ""))
    assert around.post("hello") == [(429, "")]
    assert around.counters == {'messages_rejected_total{channel="sms",reason="busy"}': 1}


@pytest.mark.parametrize("code", ["unavailable", "persistence_failed"])
def test_nothing_is_handed_over_before_the_store_has_noted_who_wrote(code: str) -> None:
    around = Around(None, store=AskRefused(code, "the disk is full"))
    assert around.post("hello", "STOP") == [(503, ""), (503, "")]
    assert around.handed_over == []
    touched, said = around.asked
    assert isinstance(touched, TouchContact)
    assert isinstance(said, SetDoNotText)
    assert (said.phone, said.do_not_text, said.message_id) == (ANN, True, "SM1")
    assert around.counters == {'messages_rejected_total{channel="sms",reason="persistence_failed"}': 2}


def test_a_body_that_does_not_come_is_counted_too() -> None:
    around = Around(None)
    around.body_error = HttpError(413, "body_too_large", "")
    assert around.post("hello") == [(413, "Request too large.")]
    assert around.counters == {'messages_rejected_total{channel="sms",reason="body_too_large"}': 1}


def test_keywords_are_counted_and_no_turns() -> None:
    around = Around(None)
    assert [status for status, _ in around.post("stop", "start", "help")] == [200, 200, 200]
    assert [message for message in around.asked if isinstance(message, StopSession)] == [
        StopSession(session=f"sms:{ANN}", queue=True)
    ]
    assert around.handed_over == []
    assert around.counters == {
        f'sms_keywords_total{{keyword="{word}"}}': 1 for word in ("stop", "start", "help")
    }
