"""Routes that speak OpenAI's API: chat completions, with and without a session, and the models."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, unquote

from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext, HttpError
from openclaw_actors.actors.http_deliveries import NotTaken
from openclaw_actors.actors.http_door import Door
from openclaw_actors.actors.http_stream import ClientGone, EventStream, is_gone, with_silences
from openclaw_actors.actors.http_turns import ReaderTooSlow, TurnGoesOn
from openclaw_actors.channels.openai.answers import Answer, CallAnswer, TurnAnswer
from openclaw_actors.channels.openai.models import Models
from openclaw_actors.channels.openai.problems import (
    ApiProblem,
    bad_request,
    problem_of_refusal,
    slow_consumer,
    turn_goes_on,
)
from openclaw_actors.channels.openai.repeats import RETRY_HEADER
from openclaw_actors.channels.openai.requests import (
    IDEMPOTENCY_HEADER,
    MESSAGE_HEADER,
    SESSION_HEADER,
    ChatRequest,
    parse_chat,
    parse_key,
    parse_session,
)
from openclaw_actors.channels.openai.responses import (
    KEEP_ALIVE,
    Answering,
    error_event,
    model_card,
    model_list,
)
from openclaw_actors.channels.sessions import session_key
from openclaw_actors.channels.websocket.wire import encode_json
from openclaw_actors.config.models import choices_of
from openclaw_actors.core.refusals import REFUSAL_TEXTS
from openclaw_actors.core.series import series
from openclaw_actors.messages import Complete, Sampling

__all__ = ["OpenAIRoutes"]

logger = logging.getLogger(__name__)

_JSON = "application/json"
_PLAIN = "".join(map(chr, range(0x20, 0x7F)))
"""What may stand in a header as it is."""
_TOO_FAST = "You're sending messages too quickly. Please wait a moment and try again."
_REJECTED = {"invalid_json": "bad_json"} | {
    code: code for code in ("session_id_invalid", "draining", "rate_limited")
}
"""What is refused here, before anybody else is asked, as the counters name it; the rest is `bad_field`."""
_LOOK_EVERY_S = 0.5
"""How often a client that hears nothing is looked after."""

_E = TypeVar("_E")


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks, and what stands in every answer to it."""

    principal: str
    request_id: str
    headers: Mapping[str, str]


_Handler = Callable[[web.Request, _Caller], Awaitable[web.StreamResponse]]


class OpenAIRoutes:
    """`/v1/chat/completions` and `/v1/models`."""

    def __init__(self, context: HttpContext) -> None:
        http = context.config.http
        self._context = context
        configured, *choices = choices_of(context.config.llm)
        self._models = Models(configured, choices)
        self._repeats = context.repeats
        self._max_chars = context.config.websocket.max_text_chars
        self._door = Door(context, per_minute=http.chat_requests_per_minute, too_fast=_TOO_FAST)

    def routes(self) -> Iterable[web.RouteDef]:
        """In the order in which they are tried; the last one is what is left of `/v1/`."""
        return (
            web.route("*", "/v1/chat/completions", self._guarded("POST", self._chat)),
            web.route("*", "/v1/models", self._guarded("GET", self._list_models)),
            web.route("*", "/v1/models/{model:.+}", self._guarded("GET", self._show_model)),
            web.route("*", "/v1/{rest:.*}", self._guarded("", self._nothing)),
        )

    # Around every route

    def _guarded(
        self, method: str, handler: _Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler whose every error is told as OpenAI tells errors."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.method == "OPTIONS":
                return self._door.preflight(request, method)
            request_id = f"req-{secrets.token_hex(12)}"
            headers = {"x-request-id": request_id, **self._door.cors(request)}
            try:
                _check_method(request, method)
                self._door.check_page(request)
                caller = _Caller(self._context.principal_of(request), request_id, headers)
                response = await handler(request, caller)
            except ApiProblem as problem:
                return _refusal(problem, headers)
            except NotTaken as refusal:
                return _refusal(_not_taken(refusal), headers)
            except HttpError as error:
                code = "invalid_api_key" if error.status == 401 else error.code
                return _refusal(ApiProblem(error.status, error.text, code=code), {**error.headers, **headers})
            except Exception:
                logger.exception("a request to %s failed", request.path[:200])
                return _refusal(ApiProblem(500, "Internal error.", code="internal"), headers)
            if not response.prepared:
                response.headers.update(headers)
            return response

        return guarded

    async def _nothing(self, request: web.Request, caller: _Caller) -> web.StreamResponse:
        text = f"There is no {request.method} {request.path[:200]}; see /v1/chat/completions and /v1/models."
        raise ApiProblem(404, text, code="unknown_url")

    # Models

    async def _list_models(self, request: web.Request, caller: _Caller) -> web.Response:
        return web.Response(body=model_list(self._models.names), content_type=_JSON)

    async def _show_model(self, request: web.Request, caller: _Caller) -> web.Response:
        name = self._models.find(unquote(request.match_info["model"]))
        return web.Response(body=encode_json(model_card(name)), content_type=_JSON)

    # Chat completions

    async def _chat(self, request: web.Request, caller: _Caller) -> web.StreamResponse:
        body = await self._context.body_of(request)
        text, key = "", None
        try:
            chat = parse_chat(body)
            model = self._models.find(chat.model)
            session_id = parse_session(_header(request, SESSION_HEADER), chat.user)
            if self._context.draining:
                raise NotTaken("draining", REFUSAL_TEXTS["draining"])
            self._door.count(request, caller.principal)
            if session_id is not None:
                text = chat.new_text(self._max_chars)
                key = parse_key(_header(request, IDEMPOTENCY_HEADER))
        except (ApiProblem, NotTaken, HttpError) as refusal:
            reason = _REJECTED.get(refusal.code or "", "bad_field")
            self._context.counters[series("messages_rejected_total", channel="http", reason=reason)] += 1
            raise
        if session_id is None:
            return await self._without_session(request, chat, model, caller)
        session = session_key(caller.principal, session_id)
        message_id = key or self._repeats.message_id(
            session,
            body,
            request.headers.get(RETRY_HEADER),
            fresh=f"oai-{secrets.token_hex(12)}",
            now=time.monotonic(),
        )
        turn = self._context.turns.run(
            session=session, text=text, message_id=message_id, correlation_id=caller.request_id
        )
        digest = hashlib.blake2b(encode_json((session, message_id)), digest_size=12).hexdigest()
        answer = TurnAnswer(_answering(digest, model, chat), streams=chat.stream)
        headers = {**caller.headers, MESSAGE_HEADER: quote(message_id, safe=_PLAIN)}
        return await self._respond(request, turn, answer, headers, has_key=key is not None)

    async def _without_session(
        self, request: web.Request, chat: ChatRequest, model: str, caller: _Caller
    ) -> web.StreamResponse:
        call_id = f"h-{secrets.token_hex(12)}"
        complete = Complete(
            call_id=call_id,
            session=f"http:{caller.principal}",
            correlation_id=caller.request_id,
            messages=chat.messages,
            model=self._models.chosen(model),
            sampling=chat.sampling if chat.sampling != Sampling() else None,
        )
        answer = CallAnswer(_answering(call_id, model, chat), streams=chat.stream)
        return await self._respond(request, self._context.calls.run(complete), answer, caller.headers)

    async def _respond(
        self,
        request: web.Request,
        source: AsyncGenerator[_E],
        answer: Answer[_E],
        headers: Mapping[str, str],
        *,
        has_key: bool = False,
    ) -> web.StreamResponse:
        http = self._context.config.http
        stream = EventStream(
            request,
            opening=answer.answering.role(),
            keep_alive=KEEP_ALIVE,
            headers=headers,
            keep_alive_s=http.stream_keepalive_seconds,
            send_timeout_s=http.send_timeout_seconds,
        )
        try:
            await _pass_on(request, source, answer, stream if answer.streams else None)
        except ClientGone:
            return stream.response if stream.opened else web.Response(status=499)
        except NotTaken as refusal:
            answer.problem = _not_taken(refusal)
        except ReaderTooSlow:
            answer.problem = slow_consumer()
        except TurnGoesOn:
            answer.problem = turn_goes_on(has_key=has_key)
        if answer.problem is None:
            if answer.streams:
                return stream.response
            return web.Response(body=answer.completion(), content_type=_JSON, headers=headers)
        if not stream.opened:
            raise answer.problem
        try:
            await stream.send(error_event(answer.problem))
        except ClientGone:
            pass  # nor does anybody read why
        return stream.response


async def _pass_on(
    request: web.Request, source: AsyncGenerator[_E], answer: Answer[_E], stream: EventStream | None
) -> None:
    """Read the source to its end, and let the client hear what it may."""
    async with aclosing(with_silences(source, _LOOK_EVERY_S)) as events:
        async for event in events:
            if is_gone(request):
                raise ClientGone
            if event is not None:
                data = answer.take(event)
                if stream is not None:
                    await stream.send(data)
                if answer.finished:
                    return
            elif stream is not None:
                await stream.idle()


def _check_method(request: web.Request, method: str) -> None:
    if method and request.method != method and (request.method, method) != ("HEAD", "GET"):
        text = f"{request.method} is not allowed here; use {method}."
        allowed = "GET, HEAD, OPTIONS" if method == "GET" else f"{method}, OPTIONS"
        raise HttpError(405, "method_not_allowed", text, {"Allow": allowed})


def _answering(completion_id: str, model: str, chat: ChatRequest) -> Answering:
    return Answering(
        completion_id=f"chatcmpl-{completion_id}",
        model=model,
        created=int(time.time()),
        include_usage=chat.include_usage,
    )


def _header(request: web.Request, name: str) -> str | None:
    """The one value of a header.

    Raises:
        ApiProblem: there are several.
    """
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise bad_request(f"{name}: was sent {len(values)} times; one is allowed.", name)
    return values[0] if values else None


def _not_taken(refusal: NotTaken) -> ApiProblem:
    return problem_of_refusal(refusal.code, refusal.text)


def _refusal(problem: ApiProblem, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        status=problem.status,
        body=problem.encode(),
        content_type=_JSON,
        headers={**problem.headers, **headers},
    )
