"""Decides what becomes of an SMS that Twilio reports: the order of the checks, and what is done and answered.

    step = rules.decide(request, now)
    while not an Answer:  carry the step out;  step = rules.known(step, contact)

Nothing is noted of a request before its signature is checked. A message's id is taken for known only when the message
was taken; what was counted against its sender's limit once is not counted when Twilio repeats it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from openclaw_actors.channels.twilio.form import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    Fields,
    FormError,
    only,
    parse_form,
)
from openclaw_actors.channels.twilio.keywords import Keyword, keyword_in, starts_again
from openclaw_actors.channels.twilio.signature import SignatureCheck
from openclaw_actors.config.features import TwilioConfig
from openclaw_actors.core.rate import RateWindow, RateWindows
from openclaw_actors.messages.contacts import Contact

__all__ = [
    "TOO_LARGE",
    "Answer",
    "Inbound",
    "InboundRules",
    "Look",
    "Request",
    "Say",
    "Step",
    "Touch",
    "Turn",
]

_MAX_PHONE_CHARS = 64
_MAX_ID_CHARS = 128
_REMEMBERED = 10_000
_ID_FIELDS = ("MessageSid", "SmsMessageSid", "SmsSid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came over HTTP."""

    content_type: str
    """Without parameters."""
    body: bytes
    query: str
    """Of the URL, as it came, without `?`."""
    signature: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message from a telephone, whose signature is good."""

    sender: str
    text: str
    message_id: str
    """Twilio's; empty: it gave none."""
    keyword: Keyword | None = None
    answered: bool = False
    """Twilio has answered the keyword itself."""
    stranger: bool = False
    """Sender or recipient is not in the lists."""
    help_stranger: bool = False
    """The stranger may have the help text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of it."""

    status: int
    reason: str
    """What happened, for counting: `accepted`, `duplicate`, `stop`, `start`, `help`, or why it was not taken."""
    text: str = ""
    twiml: bool = False
    """The text is sent to who wrote."""


TOO_LARGE = Answer(413, "body_too_large", "Request too large.")


@dataclass(frozen=True, slots=True)
class Look:
    """Find out what is known of the sender."""

    inbound: Inbound


@dataclass(frozen=True, slots=True)
class Touch:
    """Note that the sender wrote."""

    inbound: Inbound


@dataclass(frozen=True, slots=True)
class Say:
    """Note what the sender said about being texted."""

    inbound: Inbound
    do_not_text: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """Hand the message to its session, and answer when it stands in the journal."""

    inbound: Inbound


Step = Answer | Look | Touch | Say | Turn


class InboundRules:
    """The rules of one webhook, and what it remembers of the last messages.

    Args:
        token: the account's auth token.
    """

    def __init__(self, config: TwilioConfig, token: str) -> None:
        self._config = config
        self._signatures = None
        if config.validate_signature:
            self._signatures = SignatureCheck(
                token, config.webhook_public_base_url or "", config.webhook_path
            )
        self._from = frozenset(config.allowed_from_numbers)
        self._to = frozenset(config.allowed_to_numbers)
        limit = config.rate_limit_per_from_per_minute
        self._rates = RateWindows(limit)
        self._strangers = RateWindow(limit)
        self._counted: OrderedDict[tuple[str, str], bool] = OrderedDict()
        """Messages that count against their sender's limit; True: they were taken."""

    def decide(self, request: Request, now: float) -> Step:
        """What becomes of a request.

        Args:
            now: monotonic seconds.
        """
        if len(request.body) > MAX_BODY_BYTES:
            return TOO_LARGE
        if request.content_type.strip().lower() != CONTENT_TYPE:
            return Answer(400, "not_a_form", "Expected form content.")
        try:
            fields = parse_form(request.body)
            inbound, recipient = _read(fields)
            body = only(fields, "Body")
        except FormError as problem:
            return Answer(400, "bad_form", str(problem))
        if len(body) > self._config.max_inbound_chars:
            return Answer(413, "text_too_long")
        if self._signatures is not None and not self._signatures.passes(
            fields, request.query, request.signature
        ):
            return Answer(401, "bad_signature")
        if inbound.sender not in self._from or recipient not in self._to:
            return self._stranger(inbound, now)
        return self._count(inbound, now)

    def _stranger(self, inbound: Inbound, now: float) -> Step:
        """Who is not in the lists gets the help text, where that is on, but never without limit: each text costs."""
        if self._config.auto_reply_for_blocked and self._strangers.hit(now):
            return Look(replace(inbound, stranger=True, help_stranger=True))
        if inbound.keyword in (Keyword.STOP, Keyword.START):
            return Look(replace(inbound, stranger=True))
        return Answer(401, "not_allowed")

    def _count(self, inbound: Inbound, now: float) -> Step:
        key = (inbound.sender, inbound.message_id)
        taken = self._counted.get(key)
        if taken:
            return Answer(200, "duplicate")
        # Whoever wants no more is not told to say so later.
        if taken is None and not self._rates.hit(inbound.sender, now) and inbound.keyword is not Keyword.STOP:
            return Answer(429, "rate_limited")
        self._remember(key, taken=False)
        match inbound.keyword:
            case Keyword.STOP:
                return Say(inbound, do_not_text=True)
            case Keyword.START:
                return Say(inbound, do_not_text=False)
        return Touch(inbound)

    def known(self, step: Look | Touch | Say, contact: Contact) -> Step:
        """What follows when a step is carried out, and its contact is known."""
        inbound = step.inbound
        match step:
            case Look():
                return self._known_stranger(inbound, contact)
            case Say():
                self.taken(inbound)
                stranger = inbound.stranger and not inbound.help_stranger
                return Answer(401 if stranger else 200, "stop" if step.do_not_text else "start")
        if contact.do_not_text:
            if starts_again(inbound.text):
                return Say(inbound, do_not_text=False)
            return Answer(200, "opted_out")
        if inbound.keyword is Keyword.HELP:
            return Answer(200, "help") if inbound.answered else self._help("help")
        return Turn(inbound) if inbound.text else Answer(200, "empty")

    def _known_stranger(self, inbound: Inbound, contact: Contact) -> Step:
        if inbound.keyword in (Keyword.STOP, Keyword.START) and (
            contact.created_at is not None or inbound.help_stranger
        ):
            return Say(inbound, do_not_text=inbound.keyword is Keyword.STOP)
        if contact.do_not_text or not inbound.help_stranger:
            return Answer(401, "not_allowed")
        return self._help("not_allowed")

    def _help(self, reason: str) -> Answer:
        return Answer(200, reason, self._config.help_text, twiml=True)

    def taken(self, inbound: Inbound) -> None:
        """The message was taken: a repetition of it is nothing new."""
        if not inbound.stranger:
            self._remember((inbound.sender, inbound.message_id), taken=True)

    def _remember(self, key: tuple[str, str], *, taken: bool) -> None:
        if not key[1]:
            return
        self._counted[key] = taken
        self._counted.move_to_end(key)
        if len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)


def _read(fields: Fields) -> tuple[Inbound, str]:
    """The message and its recipient.

    Raises:
        FormError: a field that is needed is missing, or cannot be what it says.
    """
    sender, recipient = only(fields, "From").strip(), only(fields, "To").strip()
    if not sender or not recipient:
        raise FormError("Missing From/To.")
    for name, value in (("From", sender), ("To", recipient)):
        if len(value) > _MAX_PHONE_CHARS or not value.isprintable():
            raise FormError(f"{name} must be at most {_MAX_PHONE_CHARS} printable characters.")
    message_id = next(filter(None, (only(fields, name).strip() for name in _ID_FIELDS)), "")
    if len(message_id) > _MAX_ID_CHARS or not message_id.isprintable():
        raise FormError(f"MessageSid must be at most {_MAX_ID_CHARS} printable characters.")
    opt_out = only(fields, "OptOutType")
    text = only(fields, "Body").strip()
    inbound = Inbound(
        sender=sender,
        text="\n".join(filter(None, (text, _attached(only(fields, "NumMedia"))))),
        message_id=message_id,
        keyword=keyword_in(text, opt_out),
        answered=bool(opt_out.strip()),
    )
    return inbound, recipient


def _attached(count: str) -> str:
    """Says to the agent that there is something that it cannot see."""
    count = count.strip()
    if not (count.isascii() and count.isdigit() and len(count) < 4 and int(count)):
        return ""
    return f"[{int(count)} attached: cannot be shown here]"
