"""What people write by SMS, from Twilio's request to the journal, through kills, restarts, damage and a full disk."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.test_full_disk import fill, small_disk  # noqa: F401 - a fixture

TOKEN = "a token of Twilio's"
BASE = "https://gateway.example"
PATH = "/twilio/sms/inbound"
ANN, BOB, CAROL, US = "+15551230001", "+15551230002", "+15551230003", "+15559990000"
FORM = "application/x-www-form-urlencoded"


def config(**twilio: Any) -> dict[str, Any]:
    keys = {
        "enabled": True,
        "auth_token_ref": "env:TWILIO_AUTH_TOKEN",
        "webhook_public_base_url": BASE,
        "allowed_from_numbers": [ANN, BOB, CAROL],
        "allowed_to_numbers": [US],
        "help_text": "Write & wait.",
        **twilio,
    }
    return {"channels": {"sms": {"twilio": keys}}}


class Sms:
    """Twilio before a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def request(
        self,
        body: bytes,
        headers: dict[str, str],
        *,
        path: str = PATH,
        method: str = "POST",
        chunked: bool = False,
    ) -> tuple[int, str]:
        """Status and text of the answer."""
        host, _, port = self.gateway.http_url.rpartition("//")[2].partition(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
            payload: bytes | Iterator[bytes] = iter([body]) if chunked else body
            connection.request(method, path, payload, headers, encode_chunked=chunked)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def give_up(self, body: bytes) -> None:
        """Begin a request, and go away in the middle of its body."""
        host, _, port = self.gateway.http_url.rpartition("//")[2].partition(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
            connection.putrequest("POST", PATH)
            connection.putheader("Content-Type", FORM)
            connection.putheader("Content-Length", str(len(body) + 1))
            connection.endheaders(body)

    def post(
        self,
        text: str,
        *,
        sid: str,
        sender: str = ANN,
        to: str = US,
        signature: str | None = None,
        query: str = "",
        chunked: bool = False,
        **more: str,
    ) -> tuple[int, str]:
        fields = {"From": sender, "To": to, "Body": text, "MessageSid": sid, "AddOns": "", **more}
        path = f"{PATH}?{query}" if query else PATH
        good = RequestValidator(TOKEN).compute_signature(BASE + path, fields)
        headers = {"Content-Type": FORM, "X-Twilio-Signature": good if signature is None else signature}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        return self.request(urlencode(fields).encode(), headers, path=path, chunked=chunked)

    def records(self, sender: str = ANN, memory: Path | None = None) -> list[dict[str, Any]]:
        """What the sender's journal holds."""
        name = base64.urlsafe_b64encode(f"sms:{sender}".encode()).rstrip(b"=").decode()
        path = (memory or self.gateway.state_dir / "memory") / "sessions" / f"{name}.jsonl"
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        return [json.loads(line)["record"] for line in lines]

    def texts(self, sender: str = ANN, memory: Path | None = None) -> list[str]:
        """What the sender has said, as the journal has it."""
        return [each["text"] for each in self.records(sender, memory) if each["kind"] == "user"]

    def answers(self, count: int, sender: str = ANN, memory: Path | None = None) -> list[str]:
        """What the agent has answered, when it has answered so often."""

        def found() -> list[str]:
            return [each["text"] for each in self.records(sender, memory) if each["kind"] == "turn_ended"]

        wait_until(lambda: len(found()) >= count, what=f"{count} answers")
        return found()


@pytest.fixture
def make_sms(make_gateway: GatewayFactory) -> Callable[..., Sms]:
    def make(more: dict[str, Any] | None = None, **twilio: Any) -> Sms:
        environment = {"TWILIO_AUTH_TOKEN": TOKEN}
        return Sms(make_gateway(config={**config(**twilio), **(more or {})}, environment=environment).start())

    return make


MakeSms = Callable[..., Sms]


def test_a_signed_message_is_in_the_journal_when_twilio_is_told_so(make_sms: MakeSms) -> None:
    sms = make_sms(rate_limit_per_from_per_minute=3)
    assert sms.post(" hällo, 漢 & so on\n", sid="SM1", query="a=%20b", NumMedia="0") == (200, "")
    assert sms.texts() == ["hällo, 漢 & so on"]
    assert sms.answers(1) == ["echo: hällo, 漢 & so on"]

    assert sms.post("x", sid="SM2", signature="") == (401, "")
    assert sms.post("x", sid="SM2", signature=base64.b64encode(b"x" * 20).decode()) == (401, "")
    assert sms.post("x", sid="SM2", sender="+15550000000") == (401, "")
    assert sms.post("x", sid="SM2", to=ANN) == (401, "")
    assert sms.post("x" * 2_001, sid="SM2") == (413, "")
    assert sms.post("x", sid="SM2", sender="") == (400, "Missing From/To.")
    for chunked in (False, True):
        assert sms.post("x", sid="SM2", Junk="x" * 66_000, chunked=chunked) == (413, "Request too large.")
    assert sms.request(b"{}", {"Content-Type": "application/json"}) == (400, "Expected form content.")
    assert sms.request(b"", {}, method="GET")[0] == 405
    assert sms.request(b"no gzip", {"Content-Type": FORM, "Content-Encoding": "gzip"})[0] == 400
    sms.give_up(b"From=")

    status, document = sms.post("Help", sid="SM3")
    assert status == 200
    assert document.endswith("<Response><Message>Write &amp; wait.</Message></Response>")
    assert sms.post("again", sid="SM2", chunked=True) == (200, "")
    assert sms.post("again", sid="SM2") == (200, "")
    assert sms.post("too much", sid="SM4") == (429, "")
    assert sms.post("another's", sid="SM4", sender=BOB) == (200, "")
    assert sms.answers(2) == ["echo: hällo, 漢 & so on", "echo: again"]
    assert sms.texts(BOB) == ["another's"]

    counted = wait_until(lambda: _counted(sms.gateway, accepted=3), what="the counters")
    assert counted['messages_duplicate_total{channel="sms"}'] == 1
    assert counted['rate_limit_hits_total{channel="sms"}'] == 1
    assert counted['messages_rejected_total{channel="sms",reason="bad_signature"}'] == 2
    assert "Traceback" not in sms.gateway.log_text(), "what strangers send is no error of ours"
    assert counted['messages_rejected_total{channel="sms",reason="body_too_large"}'] == 2
    assert "so on" not in sms.gateway.log_text()
    assert TOKEN not in sms.gateway.log_text()
    sms.gateway.stop()


def _counted(gateway: Gateway, *, accepted: int) -> dict[str, float]:
    counters: dict[str, float] = gateway.status()["counters"]
    return counters if counters.get('messages_accepted_total{channel="sms"}') == accepted else {}


def test_without_sms_there_is_no_webhook(make_sms: MakeSms) -> None:
    sms = make_sms(enabled=False)
    assert sms.post("hello", sid="SM1")[0] == 404


def test_a_message_that_twilio_repeats_is_one_turn_whatever_dies_in_between(make_sms: MakeSms) -> None:
    sms = make_sms()
    assert sms.post("/demo slow 5", sid="SM1") == (200, "")
    sms.gateway.kill("http")

    def answers_again() -> bool:
        try:
            return sms.post("/demo slow 5", sid="SM1") == (200, "")
        except OSError:
            return False

    wait_until(answers_again, what="the next incarnation of http answers")
    sms.gateway.kill_all()
    sms.gateway.restart()
    assert sms.post("/demo slow 5", sid="SM1") == (200, "")
    assert len(sms.answers(1)) == 1
    assert sms.post("/demo slow 5", sid="SM1") == (200, "")
    assert sms.post("/demo recall", sid="SM2") == (200, "")
    assert sms.answers(2)[1] == "turns=1 first=/demo slow 5 last=/demo slow 5"
    assert sms.texts() == ["/demo slow 5", "/demo recall"]
    sms.gateway.stop()


def test_a_busy_conversation_queues_and_answers_in_order(make_sms: MakeSms) -> None:
    sms = make_sms()
    assert sms.post("/demo slow 1", sid="SM0") == (200, "")
    before = time.monotonic()
    for number in range(1, 5):
        assert sms.post(f"message {number}", sid=f"SM{number}") == (200, "")
    assert time.monotonic() - before < 14
    assert sms.answers(5)[1:] == [f"echo: message {number}" for number in range(1, 5)]


def test_no_number_of_waiting_messages_makes_twilio_lose_one(make_sms: MakeSms) -> None:
    sms = make_sms({"sessions": {"max_pending": 1}})
    assert sms.post("/demo slow 5", sid="SM0") == (200, "")
    before = time.monotonic()
    for number in range(1, 6):
        assert sms.post(f"message {number}", sid=f"SM{number}") == (200, "")
    assert time.monotonic() - before < 5
    assert sms.answers(6)[1:] == [f"echo: message {number}" for number in range(1, 6)]


def test_stop_ends_what_runs_and_what_waits(make_sms: MakeSms) -> None:
    sms = make_sms()
    assert sms.post("/demo slow 60", sid="SM0") == (200, "")
    assert sms.post("waits", sid="SM1") == (200, "")
    assert sms.post("Cancel", sid="SM2") == (200, "")
    ended = [each["status"] for each in sms.records() if each["kind"] == "turn_ended"]
    assert ended == ["stopped", "stopped"]


def test_who_said_stop_is_left_alone_also_after_damage(make_sms: MakeSms) -> None:
    sms = make_sms()
    assert sms.post("hello", sid="SM1") == (200, "")
    assert sms.answers(1) == ["echo: hello"]
    assert sms.post("stop", sid="SM2") == (200, "")
    assert sms.post("are you there?", sid="SM3") == (200, "")
    assert sms.post("HELP", sid="SM4") == (200, ""), "no text, not even this one"
    assert sms.post("hello", sid="SM1", sender=BOB) == (200, "")
    sms.gateway.kill_all()
    for path in (sms.gateway.state_dir / "memory" / "contacts").iterdir():
        path.write_bytes(os.urandom(path.stat().st_size))
    sms.gateway.restart()
    for sender in (ANN, BOB):
        assert sms.post("are you there?", sid="SM5", sender=sender) == (200, "")
        assert sms.texts(sender) == ["hello"]
    assert sms.post("Start", sid="SM6") == (200, "")
    assert sms.post("now?", sid="SM7") == (200, "")
    assert sms.answers(2) == ["echo: hello", "echo: now?"]

    assert sms.post("stop", sid="SM8") == (200, "")
    sms.gateway.kill_all()
    sms.gateway.restart()
    assert sms.post("Start", sid="SM6") == (200, ""), "a repetition of what was said before the stop"
    assert sms.post("and now?", sid="SM9") == (200, "")
    assert sms.texts() == ["hello", "now?"]
    sms.gateway.stop()


def test_the_contacts_of_the_older_gateway_are_honoured(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=config(), environment={"TWILIO_AUTH_TOKEN": TOKEN})
    memory = gateway.state_dir / "memory"
    memory.mkdir(parents=True, mode=0o700)
    old = {ANN: {"phoneE164": ANN, "doNotText": True, "createdAt": "2026-02-20T10:00:00Z"}}
    (memory / "contacts.json").write_text(json.dumps({"contactsByPhone": old}))
    sms = Sms(gateway.start())
    assert sms.post("hello", sid="SM1") == (200, "")
    assert sms.post("hello", sid="SM1", sender=BOB) == (200, "")
    assert (sms.texts(), sms.texts(BOB)) == ([], ["hello"])
    assert (memory / "legacy" / "contacts.json").exists()


def test_a_store_that_cannot_write_is_said_to_twilio_which_tries_again(
    make_sms: MakeSms,
    small_disk: Path,  # noqa: F811
) -> None:
    memory = small_disk / "memory"
    sms = make_sms({"memory": {"storage_path": str(memory)}})
    assert sms.post("before", sid="SM1") == (200, "")
    assert sms.answers(1, memory=memory) == ["echo: before"]
    filler = fill(small_disk)
    before = time.monotonic()
    assert sms.post("while it is full", sid="SM2", sender=CAROL)[0] == 503
    assert sms.post("STOP", sid="SM1", sender=BOB)[0] == 503
    assert time.monotonic() - before < 14
    assert sms.post("hello?", sid="SM2", sender=BOB)[0] == 503
    filler.unlink()
    assert sms.post("while it is full", sid="SM2", sender=CAROL) == (200, "")
    assert sms.answers(1, CAROL, memory) == ["echo: while it is full"]
    assert sms.post("hello?", sid="SM2", sender=BOB) == (200, "")
    assert sms.texts(BOB, memory) == [], "the STOP was heard, though the disk was full"
    sms.gateway.stop()


def test_a_store_that_hangs_is_said_to_twilio_in_time(make_sms: MakeSms) -> None:
    sms = make_sms({"supervision": {"ping_timeout_seconds": 60}, "http": {"accept_timeout_seconds": 2}})
    assert sms.post("before", sid="SM1") == (200, "")
    pid = sms.gateway.kill("persistence", signal.SIGSTOP)
    before = time.monotonic()
    assert sms.post("meanwhile", sid="SM2")[0] == 503
    assert time.monotonic() - before < 14
    os.kill(pid, signal.SIGCONT)
    assert sms.post("meanwhile", sid="SM2") == (200, "")
    assert sms.answers(2) == ["echo: before", "echo: meanwhile"]
    assert sms.texts() == ["before", "meanwhile"]
    sms.gateway.stop()
