"""Decides what a request for a chat completion asks for, and says which field is wrong where it cannot be answered.

Fields that this API does not know are ignored, as OpenAI's own servers do with those of other versions.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from openclaw_actors.channels.openai.problems import ApiProblem, bad_request
from openclaw_actors.channels.sessions import SESSION_ID_RULE, is_session_id
from openclaw_actors.messages import ChatMessage, Role, Sampling
from openclaw_actors.messages.base import Value

__all__ = [
    "IDEMPOTENCY_HEADER",
    "MESSAGE_HEADER",
    "SESSION_HEADER",
    "ChatRequest",
    "parse_chat",
    "parse_key",
    "parse_session",
]

SESSION_HEADER = "X-OpenClaw-Session-Id"
IDEMPOTENCY_HEADER = "Idempotency-Key"
MESSAGE_HEADER = "X-OpenClaw-Message-Id"
"""Of an answer: the id under which the message stands in its session."""

_MAX_KEY_CHARS = 128
_MAX_SHOWN = 60
_KEY_RULE = f"must be 1 to {_MAX_KEY_CHARS} printable characters"
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


class _Part(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: Any = None
    function_call: Any = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _ResponseFormat(msgspec.Struct):
    type: str


_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Length = Annotated[int, Meta(ge=1)]
_Stops = Annotated[list[str], Meta(max_length=4)]


class _Body(msgspec.Struct):
    messages: Annotated[list[_Message], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    user: str | None = None
    n: int | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: _Length | None = None
    max_completion_tokens: _Length | None = None
    stop: str | _Stops | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    tools: Any = None
    functions: Any = None
    tool_choice: Any = None
    function_call: Any = None
    logprobs: Any = None
    modalities: Any = None


_decoder = msgspec.json.Decoder(_Body)


class ChatRequest(Value):
    """What a client asks for."""

    model: str | None
    messages: tuple[ChatMessage, ...]
    stream: bool = False
    include_usage: bool = False
    user: str | None = None
    sampling: Sampling = Sampling()

    def new_text(self, max_chars: int) -> str:
        """The one message of the list that a session does not have yet: the last one, which must be the user's.

        Instructions of the client's may stand behind it.

        Args:
            max_chars: the longest text that a session takes.

        Raises:
            ApiProblem: there is none, or a session cannot take it.
        """
        if self.sampling.response_format not in (None, {"type": "text"}):
            raise bad_request(
                "response_format: a session answers in text; leave the session's name out for another format.",
                "response_format",
            )
        for place in reversed(range(len(self.messages))):
            message = self.messages[place]
            if message.role == "system":
                continue
            if message.role == "user":
                return _new_text(message.text, f"messages[{place}].content", max_chars)
            break
        raise bad_request(
            "messages: the last one must be the user's: in a session it is what is answered.", "messages"
        )


def _new_text(text: str, param: str, max_chars: int) -> str:
    if not text.strip():
        raise bad_request(f"{param}: must not be empty in a session.", param)
    if len(text) > max_chars:
        raise bad_request(
            f"{param}: has {len(text):,} characters; a session takes at most {max_chars:,}.",
            param,
            "string_above_max_length",
        )
    return text


def parse_chat(body: bytes) -> ChatRequest:
    """Read the body of a request.

    Raises:
        ApiProblem: it is no such request; says which field is wrong, and how.
    """
    try:
        fields = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), body) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"The body is not JSON: {str(error)[:200]}.", None, "invalid_json") from None
    _refuse_unsupported(fields)
    return ChatRequest(
        model=fields.model,
        messages=tuple(_message(message, place) for place, message in enumerate(fields.messages)),
        stream=bool(fields.stream),
        include_usage=bool(fields.stream_options and fields.stream_options.include_usage),
        user=fields.user,
        sampling=_sampling(fields),
    )


def parse_session(header: str | None, user: str | None) -> str | None:
    """The session that a request names, by its header or else as its user; None: none.

    Raises:
        ApiProblem: it names one that cannot be.
    """
    name, value = (SESSION_HEADER, header) if header is not None else ("user", user)
    if value is None:
        return None
    if not is_session_id(value):
        raise bad_request(
            f"{name}: {_shown(value)} is not allowed; it names the session and {SESSION_ID_RULE}.",
            name,
            "session_id_invalid",
        )
    return value


def parse_key(header: str | None) -> str | None:
    """The client's own id of its message, if it has one.

    Raises:
        ApiProblem: it is none.
    """
    if header is None:
        return None
    if not 0 < len(header) <= _MAX_KEY_CHARS or not header.isprintable():
        raise bad_request(
            f"{IDEMPOTENCY_HEADER}: {_shown(header)} is not allowed; it {_KEY_RULE}.", IDEMPOTENCY_HEADER
        )
    return header


def _refuse_unsupported(fields: _Body) -> None:
    """Refuse what would give an answer that the client cannot use."""
    if fields.n not in (None, 1):
        raise bad_request(f"n: {fields.n} is not allowed; there is one answer a request.", "n")
    for name in ("tools", "functions"):
        if getattr(fields, name):
            raise bad_request(
                f"{name}: is not supported; the gateway runs its own tools and answers in text.", name
            )
    for name in ("tool_choice", "function_call"):
        if getattr(fields, name) not in (None, "none", "auto"):
            raise bad_request(f"{name}: is not supported, as there are no tools of a client's.", name)
    if fields.logprobs:
        raise bad_request("logprobs: is not supported.", "logprobs")
    if fields.modalities not in (None, [], ["text"]):
        raise bad_request('modalities: only ["text"] is supported.', "modalities")
    _check_format(fields.response_format)


def _check_format(given: dict[str, Any] | None) -> None:
    kind = given.get("type") if given is not None else "text"
    if kind not in ("text", "json_object", "json_schema"):
        raise bad_request(
            f"response_format.type: {_shown(kind)} is not allowed; it must be text, json_object or json_schema.",
            "response_format.type",
        )


def _message(message: _Message, place: int) -> ChatMessage:
    param = f"messages[{place}]"
    role = _ROLES.get(message.role)
    if role is None:
        raise bad_request(
            f"{param}.role: {_shown(message.role)} is not supported; it must be one of {', '.join(_ROLES)}.",
            f"{param}.role",
        )
    for name in ("tool_calls", "function_call"):
        if getattr(message, name):
            raise bad_request(f"{param}.{name}: tools of a client's are not supported.", f"{param}.{name}")
    if message.content is None:
        if role != "assistant":
            raise bad_request(
                f"{param}.content: is missing; it must be a string or a list of text parts.",
                f"{param}.content",
            )
        return ChatMessage(role=role, text="")
    if isinstance(message.content, str):
        return ChatMessage(role=role, text=message.content)
    texts = [_text(part, f"{param}.content[{number}]") for number, part in enumerate(message.content)]
    return ChatMessage(role=role, text="\n".join(texts))


def _text(part: _Part, param: str) -> str:
    if part.type not in ("text", "input_text"):
        raise bad_request(
            f"{param}.type: {_shown(part.type)} is not supported; it must be text.", f"{param}.type"
        )
    if part.text is None:
        raise bad_request(f"{param}.text: is missing; it must be a string.", f"{param}.text")
    return part.text


def _sampling(fields: _Body) -> Sampling:
    stop = [fields.stop] if isinstance(fields.stop, str) else fields.stop or []
    return Sampling(
        temperature=fields.temperature,
        top_p=fields.top_p,
        max_tokens=fields.max_completion_tokens or fields.max_tokens,
        stop=tuple(each for each in stop if each),
        presence_penalty=fields.presence_penalty,
        frequency_penalty=fields.frequency_penalty,
        seed=fields.seed,
        reasoning_effort=fields.reasoning_effort,
        response_format=fields.response_format,
    )


def _invalid(problem: str, body: bytes) -> ApiProblem:
    """`Expected `float` <= 2.0 - at `$.temperature`` for a client: the field, its value, and what is allowed."""
    match = _WHERE.match(problem)
    assert match is not None
    what, path = match["what"], (match["path"] or "$").removeprefix("$")
    param = path.removeprefix(".")
    missing = _MISSING.match(what)
    if missing is not None:
        param = f"{param}.{missing['name']}".removeprefix(".")
        return bad_request(f"{param}: is missing.", param, "missing_required_parameter")
    if not param:
        return bad_request(f"The body must be one JSON object: {what}.", None)
    return bad_request(
        f"{param}: {_shown_at(body, path)} is not allowed: {what[0].lower()}{what[1:]}.", param
    )


def _shown_at(body: bytes, path: str) -> str:
    try:
        value = msgspec.json.decode(body)
        for step in _STEP.finditer(path):
            value = value[int(step["index"]) if step["name"] is None else step["name"]]
    except (ValueError, RecursionError, LookupError, TypeError):
        return "the value"  # what follows the wrong field is no JSON
    return _shown(value)


def _shown(value: object) -> str:
    """A value of the client's, as far as an error may repeat it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
