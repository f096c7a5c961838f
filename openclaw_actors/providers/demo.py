"""Decides what the demo provider says: no key, no network, the same answer to the same question each time.

It counts one token a word. The commands that it obeys stand in `_COMMANDS`; those that break something it obeys only
where it was told to.
"""

from __future__ import annotations

__all__ = ["FAULT_TOOL", "DemoProvider"]

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, ProviderProbed, ToolCall
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, OnDelta

FAULT_TOOL = "demo_fault"
"""Reserved tool name: the session process itself carries out `{"fault": "crash" | "spin" | "eat", "megabytes": N}`."""

_WORD_EVERY_S = 0.1
_SLOWEST_S = 3_600.0
_MOST_TOKENS = 100_000
_MOST_FAILURES = 10_000
_MOST_MEGABYTES = 1_000_000
_SINGLE_WORDS = 32
"""So many words of an answer are told one by one, as a person sees them come; the rest in larger pieces."""
_WORDS_A_TICK = 512

_Say: TypeAlias = Callable[[str], None]


class DemoProvider:
    """The provider of first runs and of tests.

    Args:
        faults: obey the commands that break something; otherwise they are only echoed.
    """

    def __init__(self, *, faults: bool) -> None:
        self._faults = faults
        self._failures_left = 0
        self._summary_takes_s = 0.0

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        """See `Provider.complete`."""
        if self._failures_left > 0:
            self._failures_left -= 1
            raise failures.refused(503, model="demo", reason="", detail="/demo fail")
        if request.purpose == "summary":
            return await self._summarise(request)
        question, results = _last_exchange(request.messages)
        call: ToolCall | None = None
        said: list[str] = []

        def say(piece: str) -> None:
            said.append(piece)
            on_delta(piece)

        if results:
            await _say_words(say, _report(results))
        else:
            call = await self._obey(question, request, say)
        text = "".join(said)
        output = text if call is None else f"{text} {call.name} {call.arguments}"
        usage = Usage(input_tokens=sum(map(_count, request.messages)), output_tokens=len(output.split()))
        return Answer(text=text, usage=usage, tool_calls=() if call is None else (call,))

    async def probe(self, *, timeout_s: float) -> ProviderProbed:
        """See `Provider.probe`; it is here."""
        return ProviderProbed(result="demo", provider="demo", model="demo")

    async def close(self) -> None:
        """Nothing is ever open."""

    async def _summarise(self, request: Complete) -> Answer:
        if self._summary_takes_s:
            await asyncio.sleep(self._summary_takes_s)
        text = _summary(request.messages[-1].text)
        usage = Usage(input_tokens=sum(map(_count, request.messages)), output_tokens=len(text.split()))
        return Answer(text=text, usage=usage)

    async def _obey(self, question: str, request: Complete, say: _Say) -> ToolCall | None:
        first, _, rest = question.partition(" ")
        name, _, argument = rest.strip().partition(" ")
        argument = argument.strip()
        match name if first == "/demo" else "":
            case "recall":
                await _say_words(say, _recall(request.messages))
            case "slow":
                await self._slow(say, argument)
            case "tokens":
                await self._tokens(say, argument)
            case "tool" if argument:
                return _tool_call(request, *argument.partition(" ")[::2])
            case "fail" | "crash" | "spin" | "eat" | "hang" | "summaries" if self._faults:
                return await self._break(name, argument, request, say)
            case _:
                await _say_words(say, f"echo: {question}")
        return None

    async def _slow(self, say: _Say, argument: str) -> None:
        seconds = _number(argument, _SLOWEST_S)
        if seconds is None:
            say(f"usage: /demo slow SECONDS, at most {_SLOWEST_S:.0f}")
            return
        for number in range(1, max(1, round(seconds / _WORD_EVERY_S)) + 1):
            await asyncio.sleep(_WORD_EVERY_S)
            say(f"{number}" if number == 1 else f" {number}")

    async def _tokens(self, say: _Say, argument: str) -> None:
        count = _number(argument, _MOST_TOKENS)
        if count is None:
            say(f"usage: /demo tokens N, at most {_MOST_TOKENS}")
            return
        await _say_all(say, (f"{n}" if n == 1 else f" {n}" for n in range(1, int(count) + 1)))

    async def _break(self, fault: str, argument: str, request: Complete, say: _Say) -> ToolCall | None:
        if fault == "hang":
            await asyncio.get_running_loop().create_future()
        if fault == "summaries":
            seconds = _number(argument, _SLOWEST_S)
            if seconds is None:
                say(f"usage: /demo summaries SECONDS, at most {_SLOWEST_S:.0f}")
                return None
            self._summary_takes_s = seconds
            await _say_words(say, f"summaries take {seconds:g} s from now on")
            return None
        if fault == "fail":
            count = _number(argument or "1", _MOST_FAILURES)
            if count is None:
                say(f"usage: /demo fail N, at most {_MOST_FAILURES}")
                return None
            self._failures_left = int(count)
            await _say_words(say, f"the next {int(count)} provider calls fail")
            return None
        order: dict[str, object] = {"fault": fault}
        if fault == "eat":
            megabytes = _number(argument, _MOST_MEGABYTES)
            if megabytes is None:
                say("usage: /demo eat MEGABYTES")
                return None
            order["megabytes"] = int(megabytes)
        return _tool_call(request, FAULT_TOOL, msgspec.json.encode(order).decode())


def _last_exchange(messages: Sequence[ChatMessage]) -> tuple[str, list[ChatMessage]]:
    """The last thing that the user said, and the results of the tools that were asked for since."""
    results: list[ChatMessage] = []
    for message in reversed(messages):
        if message.role == "user":
            return message.text, results[::-1]
        if message.role == "tool":
            results.append(message)
    return "", results[::-1]


def _report(results: Sequence[ChatMessage]) -> str:
    return "\n".join(f"{result.name or 'tool'}: {result.text}" for result in results)


def _recall(messages: Sequence[ChatMessage]) -> str:
    # A summary has the user's role and a name; it is no turn.
    turns = [message.text for message in messages if message.role == "user" and not message.name][:-1]
    first, last = (turns[0], turns[-1]) if turns else ("", "")
    return f"turns={len(turns)} first={first} last={last}"


def _summary(material: str) -> str:
    """Says of a conversation, given as one JSON object a line, how long it is and where it begins and ends."""
    texts: list[str] = []
    for line in material.split("\n"):
        try:
            turn = msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeEncodeError):
            break  # the last one was cut
        texts.append(str(turn.get("person") or turn.get("text") or ""))
    return f"lines={len(texts)} first={texts[0]} last={texts[-1]}" if texts else ""


def _tool_call(request: Complete, name: str, arguments: str) -> ToolCall:
    # Derived from the call, so that two turns never share an id and the same call always gets the same one.
    return ToolCall(call_id=f"demo-{request.call_id}", name=name, arguments=arguments.strip() or "{}")


def _count(message: ChatMessage) -> int:
    return len(message.text.split())


def _number(text: str, most: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= most else None


async def _say_words(say: _Say, text: str) -> None:
    """Say a text word by word, its white space as it is."""
    start = 0
    words: list[str] = []
    while start < len(text):
        end = text.find(" ", start + 1)
        end = len(text) if end < 0 else end
        words.append(text[start:end])
        start = end
    await _say_all(say, words)


async def _say_all(say: _Say, pieces: Iterable[str]) -> None:
    """Say pieces without holding the loop, and so everybody else's answers, for long."""
    for number, piece in enumerate(pieces, start=1):
        if number <= _SINGLE_WORDS or number % _WORDS_A_TICK == 0:
            await asyncio.sleep(0)  # the pieces of one tick travel as one
        say(piece)
