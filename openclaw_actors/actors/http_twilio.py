"""The route to which Twilio posts what people write by SMS.

Twilio is told 200 only when the message stands in the journal, or when what the person said about being texted is on
the disk. The agent's answer is sent later, by the SMS channel.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext, HttpError
from openclaw_actors.actors.http_deliveries import NotTaken
from openclaw_actors.channels.twilio.form import MAX_BODY_BYTES
from openclaw_actors.channels.twilio.inbound import (
    TOO_LARGE,
    Answer,
    Inbound,
    InboundRules,
    Look,
    Request,
    Say,
    Step,
    Touch,
    Turn,
)
from openclaw_actors.channels.twilio.signature import SIGNATURE_HEADER
from openclaw_actors.channels.twilio.twiml import CONTENT_TYPE as TWIML
from openclaw_actors.channels.twilio.twiml import reply_with
from openclaw_actors.core.metrics import rejected
from openclaw_actors.core.series import series
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import Contact, GetContact, Message, SetDoNotText, StopSession, TouchContact

__all__ = ["TwilioRoutes"]

logger = logging.getLogger(__name__)

_ANSWER_WITHIN_S = 9.5
"""At most, whatever the configuration says: Twilio waits 15 s for all of its tries together."""
_TRY_AGAIN_S = 0.25
_STOP_WITHIN_S = 2.0
_SAID = ("stop", "start", "help")
_REPLIED = ("rate_limited", "budget")
"""Refusals that the person is told by a text."""
_STATUS_OF_REFUSAL = {"busy": 429, "message_id_conflict": 200, "quarantined": 200}
"""The others are 503: Twilio is to try again, or elsewhere."""
_NOT_NOW = 503
_BAD = 400
_TOKEN = "channels.sms.twilio.auth_token_ref"


class TwilioRoutes:
    """The webhook of inbound SMS; none where SMS is off."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._config = context.config.channels.sms.twilio
        self._within_s = min(_ANSWER_WITHIN_S, context.config.http.accept_timeout_seconds)
        self._rules: InboundRules | None = None

    def routes(self) -> Iterable[web.RouteDef]:
        return (web.post(self._config.webhook_path, self._inbound),) if self._config.enabled else ()

    def _made_rules(self) -> InboundRules | None:
        """None while there is no token to tell Twilio from a stranger by."""
        if self._rules is None:
            token = self._context.secrets.get(_TOKEN, "")
            if token or not self._config.validate_signature:
                self._rules = InboundRules(self._config, token)
        return self._rules

    async def _inbound(self, request: web.Request) -> web.Response:
        answer = await self._answer(request)
        self._count_answer(answer.reason)
        if answer.twiml:
            return web.Response(status=answer.status, text=reply_with(answer.text), content_type=TWIML)
        headers = {}
        if answer.status == _NOT_NOW:
            headers["Retry-After"] = "5"
        if answer is TOO_LARGE:
            headers["Connection"] = "close"
        return web.Response(
            status=answer.status, text=answer.text, content_type="text/plain", headers=headers
        )

    async def _answer(self, request: web.Request) -> Answer:
        try:
            body = await self._context.body_of(request, max_bytes=MAX_BODY_BYTES)
        except HttpError as error:
            if error.status == TOO_LARGE.status:
                return TOO_LARGE
            self._count_answer("bad_form" if error.status == _BAD else error.code)
            raise
        rules = self._made_rules()
        if rules is None:
            return Answer(_NOT_NOW, "no_token")
        step = rules.decide(
            Request(
                content_type=request.content_type,
                body=body,
                query=request.raw_path.partition("?")[2],
                signature=request.headers.get(SIGNATURE_HEADER),
            ),
            time.monotonic(),
        )
        if isinstance(step, Answer):
            return step
        session = f"sms:{step.inbound.sender}"
        try:
            answer = await self._carry_out(step, session)
        except TimeoutError:
            answer = Answer(_NOT_NOW, "not_accepted")
        except AskRefused as refusal:
            answer = Answer(_NOT_NOW, "persistence_failed")
            logger.warning("session %s: the store does not note who wrote: %s", session, refusal)
        log = logger.warning if answer.status == _NOT_NOW else logger.info
        log("session %s: an SMS is answered %d (%s)", session, answer.status, answer.reason)
        return answer

    async def _carry_out(self, step: Step, session: str) -> Answer:
        """Raises TimeoutError; AskRefused: the store could not."""
        assert self._rules is not None
        end = time.monotonic() + self._within_s
        async with asyncio.timeout(self._within_s):
            while True:
                match step:
                    case Answer():
                        return step
                    case Turn(inbound):
                        return await self._turn(inbound, session, end)
                    case Look() | Touch() | Say():
                        contact = await self._ask_about(step)
                        if isinstance(step, Say) and step.do_not_text:
                            await self._end_work(session)
                        step = self._rules.known(step, contact)

    async def _ask_about(self, step: Look | Touch | Say) -> Contact:
        phone, now = step.inbound.sender, time.time()
        message: Message
        match step:
            case Look():
                message = GetContact(phone=phone)
            case Touch():
                message = TouchContact(phone=phone, at=now)
            case Say():
                message = SetDoNotText(
                    phone=phone, do_not_text=step.do_not_text, at=now, message_id=step.inbound.message_id
                )
        contact = await self._context.ask_service("persistence", message, timeout_s=self._within_s)
        assert isinstance(contact, Contact)
        return contact

    async def _end_work(self, session: str) -> None:
        """Nobody could be told what comes of it; and who texts CANCEL may have meant just this."""
        try:
            await self._context.ask_supervisor(
                StopSession(session=session, queue=True), timeout_s=_STOP_WITHIN_S
            )
        except AskRefused as refusal:
            logger.warning("session %s: its work goes on after a STOP: %s", session, refusal)

    async def _turn(self, inbound: Inbound, session: str, end: float) -> Answer:
        """Has the message taken; for a sender with too many waiting it is tried again while there is time."""
        assert self._rules is not None
        while True:
            try:
                receipt = await self._context.deliveries.take(
                    session=session,
                    text=inbound.text,
                    message_id=inbound.message_id or None,
                    patient=True,
                )
            except NotTaken as refusal:
                if refusal.code == "busy" and time.monotonic() + 4 * _TRY_AGAIN_S < end:
                    await asyncio.sleep(_TRY_AGAIN_S)
                    continue
                return _refusal(refusal)
            self._rules.taken(inbound)
            return Answer(200, "accepted" if receipt.duplicate is None else "duplicate")

    def _count_answer(self, reason: str) -> None:
        counters = self._context.counters
        if reason == "accepted":
            return  # the store counts it, by its record
        if reason == "duplicate":
            counters[series("messages_duplicate_total", channel="sms")] += 1
        elif reason in _SAID:
            counters[series("sms_keywords_total", keyword=reason)] += 1
        else:
            for key in rejected("sms", reason):
                counters[key] += 1


def _refusal(refusal: NotTaken) -> Answer:
    if refusal.code in _REPLIED:
        return Answer(200, refusal.code, refusal.text, twiml=True)
    return Answer(_STATUS_OF_REFUSAL.get(refusal.code, _NOT_NOW), refusal.code)
