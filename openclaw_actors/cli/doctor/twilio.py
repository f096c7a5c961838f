"""Looks at SMS by Twilio, where it is on: the webhook, the account, and what Twilio does after an error."""

from __future__ import annotations

__all__ = ["look", "webhook_url"]

import asyncio
import base64
import re
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning
from openclaw_actors.config.features import TwilioConfig
from openclaw_actors.config.secrets import SecretUnresolved, resolve

AT = "channels.sms.twilio"
_ASK_S = 10.0
_BODY_BYTES = 1_048_576
_OVERRIDES = "#rp=all&rc=2"
"""Connection overrides: two repetitions, also after a 5xx and after no answer in time."""

_SID = re.compile(r"AC[0-9a-f]{32}")
_REPEATS_5XX = re.compile(r"[#&]rp=[^&]*(?:5xx|all)")


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    twilio = context.config.channels.sms.twilio
    if not twilio.enabled:
        return []
    found = [*_webhook(twilio), *_sender(twilio)]
    token = ""
    if twilio.auth_token_ref is not None:
        try:
            token = resolve(twilio.auth_token_ref, context.environ)
        except SecretUnresolved:
            found.append(
                info(
                    "the account was not asked: this shell does not have its token",
                    why="the gateway may have it",
                )
            )
    if token and twilio.account_sid is not None:
        found += await _account(twilio, twilio.account_sid, token)
    return found


def webhook_url(twilio: TwilioConfig) -> str:
    """The address that Twilio should call, without its connection overrides."""
    return (twilio.webhook_public_base_url or "https://YOUR.HOST").rstrip("/") + twilio.webhook_path


def _webhook(twilio: TwilioConfig) -> list[Finding]:
    found = []
    if not twilio.validate_signature:
        found.append(
            error(
                f"{AT}.validate_signature is false",
                why="whoever knows the address can write in the name of any telephone number",
                remedy=f"{AT}.validate_signature: true",
            )
        )
    base = twilio.webhook_public_base_url
    if base is not None and urlsplit(base).scheme != "https":
        found.append(
            error(
                f"{AT}.webhook_public_base_url is {base}",
                why="messages, and signatures that can be repeated, travel unencrypted",
                remedy=f"{AT}.webhook_public_base_url: https://{urlsplit(base).netloc}{urlsplit(base).path}",
            )
        )
    return found


def _sender(twilio: TwilioConfig) -> list[Finding]:
    """What is missing is told with the configuration; this is about what is there and cannot be right."""
    if twilio.account_sid is None or _SID.fullmatch(twilio.account_sid):
        return []
    return [
        error(
            f"{AT}.account_sid is no account SID",
            why="no answer can be sent",
            remedy=f"{AT}.account_sid: AC and 32 hexadecimal digits, from Twilio's console",
        )
    ]


async def _account(twilio: TwilioConfig, sid: str, token: str) -> list[Finding]:
    base = f"{twilio.api_base_url.rstrip('/')}/2010-04-01/Accounts/{sid}"
    host = urlsplit(base).netloc
    try:
        async with asyncio.timeout(_ASK_S), _session(sid, token) as session:
            status, account = await _get(session, f"{base}.json")
            if status == 200 and account is not None:
                return [*_state(account, host), *await _number(session, base, twilio)]
    except TimeoutError:
        status, reason = 0, f"no answer within {_ASK_S:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as failed:
        status, reason = 0, getattr(failed, "strerror", None) or type(failed).__name__
    if not status:
        return [
            error(
                f"{host} is not reached: {reason}",
                why="no answer can be sent",
                remedy=f"check {AT}.api_base_url, the network and the proxy",
            )
        ]
    if status in (401, 403, 404):
        return [
            error(
                f"{host} refuses the account or its token (HTTP status {status})",
                why="no answer can be sent, and no signature is right",
                remedy=f"set {AT}.account_sid and {AT}.auth_token_ref from Twilio's console",
            )
        ]
    return [
        warning(
            f"{host} answers with the HTTP status {status}",
            why="answers are kept and sent later",
            remedy="see https://status.twilio.com",
        )
    ]


def _session(sid: str, token: str) -> aiohttp.ClientSession:
    login = base64.b64encode(f"{sid}:{token}".encode()).decode()
    return aiohttp.ClientSession(
        headers={"Authorization": f"Basic {login}"}, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
    )


async def _get(
    session: aiohttp.ClientSession, url: str, parameters: dict[str, str] | None = None
) -> tuple[int, dict[str, Any] | None]:
    async with session.get(url, params=parameters, allow_redirects=False) as response:
        body = await response.content.read(_BODY_BYTES)
        while len(body) < _BODY_BYTES and (more := await response.content.read(_BODY_BYTES - len(body))):
            body += more
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            decoded = None
        return response.status, decoded if isinstance(decoded, dict) else None


def _state(account: dict[str, Any], host: str) -> list[Finding]:
    state = str(account.get("status", "unknown"))[:40]
    if state == "active":
        return [ok(f"{host} takes the token; the account is active")]
    return [
        error(
            f"{host} takes the token, but the account is {state}",
            why="no answer can be sent",
            remedy="see Twilio's console",
        )
    ]


async def _number(session: aiohttp.ClientSession, base: str, twilio: TwilioConfig) -> list[Finding]:
    """Whether Twilio calls us for the number, and what it does when we answer with an error."""
    wanted = webhook_url(twilio)
    advice = f"set the number's webhook (A message comes in) to {wanted}{_OVERRIDES}, and its fallback URL to {wanted}"
    if twilio.from_number is None:
        return [
            info(
                "a messaging service sends; whether it calls this gateway was not looked up",
                why="Twilio by itself repeats only where it gets no connection, not after a 5xx: the SMS is then lost",
                remedy=advice,
            )
        ]
    query = {"PhoneNumber": twilio.from_number}
    status, page = await _get(session, f"{base}/IncomingPhoneNumbers.json", query)
    numbers = (page or {}).get("incoming_phone_numbers")
    if status != 200 or not isinstance(numbers, list):
        return []
    if not numbers or not isinstance(numbers[0], dict):
        return [
            error(
                f"the account does not have the number {AT}.from_number",
                why="no answer can be sent from it, and nothing comes in",
                remedy=f"set {AT}.from_number to a number of the account",
            )
        ]
    url = str(numbers[0].get("sms_url") or "")
    fallback = str(numbers[0].get("sms_fallback_url") or "")
    if url.partition("#")[0] != wanted:
        return [error("the number's webhook is not this gateway", why="nothing comes in", remedy=advice)]
    if not _REPEATS_5XX.search(url) and fallback.partition("#")[0] != wanted:
        return [
            warning(
                "Twilio does not try again when this gateway answers an SMS with a 5xx",
                why="by itself it repeats only where it gets no connection: what comes while the disk is full is lost",
                remedy=advice,
            )
        ]
    return [ok("Twilio calls this gateway for the number, and tries again after an error")]
