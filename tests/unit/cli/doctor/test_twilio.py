"""SMS by Twilio, against a real server that answers as Twilio's API does."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from openclaw_actors.cli.doctor import twilio
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding
from tests.unit.cli.doctor.world import World, levels, told

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "twilio-auth-token-0123"
NUMBER = "+15550001111"
HOOK = "https://sms.example/twilio/sms/inbound"

GOOD: dict[str, Any] = {
    "enabled": True,
    "account_sid": SID,
    "auth_token_ref": "env:TWILIO",
    "from_number": NUMBER,
    "webhook_public_base_url": "https://sms.example",
    "allowed_from_numbers": ["+1555"],
}


def api(account: tuple[int, Any], numbers: tuple[int, Any]) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            wanted = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
            status, body = (401, {"code": 20003}) if wanted not in head else account
            if "IncomingPhoneNumbers.json?PhoneNumber=%2B15550001111" in head and status == 200:
                status, body = numbers
            data = json.dumps(body).encode()
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            await writer.drain()
        writer.close()

    return serve


def see(
    world: World,
    settings: Mapping[str, Any],
    *,
    account: tuple[int, Any] = (200, {"status": "active"}),
    numbers: tuple[int, Any] = (200, {"incoming_phone_numbers": [{"sms_url": f"{HOOK}#rp=all&rc=2"}]}),
    token: str = TOKEN,
) -> list[Finding]:
    world.environ["TWILIO"] = token

    async def look(context: Context) -> list[Finding]:
        async with await asyncio.start_server(api(account, numbers), "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            world.configure({"channels": {"sms": {"twilio": {**settings, "api_base_url": url}}}})
            return await twilio.look(world.context())

    found = world.see(look)
    assert token not in " ".join(each.what + each.why + each.remedy for each in found)
    return found


def test_nothing_is_said_where_it_is_off(world: World) -> None:
    assert world.see(twilio.look) == []


def test_all_is_well(world: World) -> None:
    found = see(world, GOOD)
    assert levels(found) == {"ok"}
    assert "tries again after an error" in told(found, "ok")


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({"validate_signature": False}, "error", "validate_signature is false"),
        ({"webhook_public_base_url": "http://sms.example"}, "error", "webhook_public_base_url is http:"),
        ({"account_sid": "AC12"}, "error", "account_sid is no account SID"),
    ],
)
def test_settings(world: World, changes: dict[str, Any], level: str, text: str) -> None:
    assert text in told(see(world, {**GOOD, **changes}), level)


def test_without_a_number_of_its_own_the_settings_are_named(world: World) -> None:
    found = see(world, {**GOOD, "from_number": None, "messaging_service_sid": "MG1"})
    assert "was not looked up" in told(found, "info")
    assert f"{HOOK}#rp=all&rc=2" in next(each.remedy for each in found if each.level == "info")


def test_a_wrong_token_and_a_suspended_account(world: World) -> None:
    assert "refuses the account or its token" in told(see(world, GOOD, token="another-token-9876"), "error")
    found = see(world, GOOD, account=(200, {"status": "suspended"}))
    assert "the account is suspended" in told(found, "error")
    assert "HTTP status 503" in told(see(world, GOOD, account=(503, {})), "warning")


def test_twilio_out_of_reach(world: World) -> None:
    world.environ["TWILIO"] = TOKEN
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        world.configure({"channels": {"sms": {"twilio": {**GOOD, "api_base_url": url}}}})
        assert "is not reached" in told(world.see(twilio.look), "error")


def number(**fields: Any) -> tuple[int, Any]:
    return 200, {"incoming_phone_numbers": [fields]}


@pytest.mark.parametrize(
    ("numbers", "level", "text"),
    [
        (number(sms_url=HOOK), "warning", "does not try again when this gateway answers an SMS with a 5xx"),
        (number(sms_url=f"{HOOK}#rc=3&rp=ct"), "warning", "does not try again"),
        (number(sms_url=f"{HOOK}#rp=all"), "ok", "tries again"),
        (number(sms_url=HOOK, sms_fallback_url=HOOK), "ok", "tries again"),
        (number(sms_url="https://demo.twilio.com/welcome"), "error", "webhook is not this gateway"),
        ((200, {"incoming_phone_numbers": []}), "error", "does not have the number"),
    ],
)
def test_what_twilio_does_after_an_error(
    world: World, numbers: tuple[int, Any], level: str, text: str
) -> None:
    found = see(world, GOOD, numbers=numbers)
    assert text in told(found, level)
    if level == "warning":
        assert f"{HOOK}#rp=all&rc=2" in next(each.remedy for each in found if each.level == level)
