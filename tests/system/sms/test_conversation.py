"""A conversation by SMS from end to end: Twilio's webhook in, Twilio's API out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from urllib.parse import urlencode

from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.sms.fake_twilio import FROM, TOKEN, FakeTwilio
from tests.system.sms.people import entries, settings

A = "+15550001111"
PATH = "/twilio/sms/inbound"


def receive(gateway: Gateway, text: str, sid: str) -> int:
    """Have Twilio report a message, as it does; returns the status that it is answered with."""
    form = {"From": A, "To": FROM, "Body": text, "MessageSid": sid}
    signed = f"https://example.org{PATH}" + "".join(name + form[name] for name in sorted(form))
    digest = hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()
    request = urllib.request.Request(gateway.http_url + PATH, data=urlencode(form).encode(), method="POST")
    request.add_header("X-Twilio-Signature", base64.b64encode(digest).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def test_what_twilio_reports_twice_is_answered_once_and_stop_ends_it(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = make_gateway(config=settings(twilio)).start()
    assert [receive(gateway, "hello", "SM1"), receive(gateway, "hello", "SM1")] == [200, 200]
    assert twilio.wait_for_bodies(A, 1) == ["echo: hello"]
    assert receive(gateway, "/demo slow 2", "SM2") == 200
    assert receive(gateway, "stop", "SM3") == 200  # before the answer: it is not sent any more
    wait_until(
        lambda: gateway.nodes()[f"sms:{A}"]["doing"] == "idle" and not entries(gateway), what="it ended"
    )
    assert receive(gateway, "START", "SM4") == 200
    assert receive(gateway, "/demo recall", "SM5") == 200
    assert "first=hello" in twilio.wait_for_bodies(A, 2)[1]
    wait_until(lambda: entries(gateway) == [], what="all is sent")
    assert len(twilio.bodies(A)) == 2
    assert gateway.stop() == 0


def test_a_power_cut_between_twilio_s_question_and_ours_costs_no_answer(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = make_gateway(config=settings(twilio)).start()
    assert receive(gateway, "/demo slow 1", "SM1") == 200
    assert receive(gateway, "after", "SM2") == 200
    gateway.kill_all()
    gateway.restart()
    bodies = twilio.wait_for_bodies(A, 2)
    assert bodies[1] == "echo: after"
    assert receive(gateway, "after", "SM2") == 200
    wait_until(lambda: entries(gateway) == [], what="all is sent")
    assert twilio.bodies(A) == bodies
    assert gateway.stop() == 0


def test_a_tool_asks_by_sms_and_is_answered_so(make_gateway: GatewayFactory, twilio: FakeTwilio) -> None:
    gateway = make_gateway(config={**settings(twilio), "tooling": {"approval": "always"}}).start()
    assert receive(gateway, '/demo tool memory {"action": "read", "key": "k"}', "SM1") == 200
    [question] = twilio.wait_for_bodies(A, 1)
    assert question.startswith('The tool memory asks for your approval: {"action": "read", "key": "k"}')
    assert receive(gateway, "/deny", "SM2") == 200
    told = twilio.wait_for_bodies(A, 3)[1:]
    assert told[0] == "memory was denied."
    assert "denied by user" in told[1]
    wait_until(lambda: entries(gateway) == [], what="all is sent")
    assert gateway.stop() == 0
