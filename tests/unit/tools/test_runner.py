"""Tools run when it is their turn, end once, and end with their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import pytest

from openclaw_actors.config import GatewayConfig
from openclaw_actors.messages import ToolCall
from openclaw_actors.tools.base import Arguments, Effect, Tool, ToolFailed, ToolHost
from openclaw_actors.tools.registry import Toolbox
from openclaw_actors.tools.runner import ToolRunner


class Wait(Arguments, frozen=True):
    name: str = "x"


class Scene:
    """A session with tools that a test lets go."""

    session = "s"

    def __init__(self, *, timeout_s: float = 30.0, parallel: bool = True) -> None:
        self.config = msgspec.convert({"tooling": {"tool_timeout_seconds": timeout_s}}, GatewayConfig)
        self.events: list[str] = []
        self.happened = asyncio.Event()
        self.gates: dict[str, asyncio.Event] = {}
        self.ended: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        scene = self

        class Reader(Tool[Wait]):
            name = "reader"
            description = "reads"
            effect = Effect.READS
            arguments = Wait

            async def run(self, arguments: Wait) -> str:
                return await scene.run(arguments.name)

        class Changer(Tool[Wait]):
            name = "changer"
            description = "changes"
            arguments = Wait

            async def run(self, arguments: Wait) -> str:
                return await scene.run(arguments.name)

        class Broken(Tool[Wait]):
            name = "broken"
            description = "breaks"
            arguments = Wait

            async def run(self, arguments: Wait) -> str:
                if arguments.name == "refuses":
                    raise ToolFailed("Error: not today.", status="denied")
                raise KeyError(arguments.name)

        host = cast(ToolHost, self)
        self.runner = ToolRunner(
            Toolbox([Reader(host), Changer(host), Broken(host)]),
            spawn=asyncio.ensure_future,
            done=lambda turn, call, status, text: self.ended.put_nowait((call.call_id, status, text)),
            parallel=parallel,
        )

    async def run(self, name: str) -> str:
        self.note(f"+{name}")
        try:
            await self.gates.setdefault(name, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.note(f"!{name}")
            raise
        self.note(f"-{name}")
        return f"did {name}"

    def note(self, event: str) -> None:
        self.events.append(event)
        self.happened.set()

    def ask(self, tool: str, name: str, turn: str = "t") -> None:
        arguments = msgspec.json.encode({"name": name}).decode()
        self.runner.start(turn, ToolCall(call_id=name, name=tool, arguments=arguments))

    async def let(self, name: str) -> tuple[str, str, str]:
        self.gates.setdefault(name, asyncio.Event()).set()
        return await self.ended.get()

    async def until(self, count: int) -> None:
        """Until so many things have happened."""
        while len(self.events) < count:
            self.happened.clear()
            await self.happened.wait()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(5):
            await scene()

    asyncio.run(within())


def test_what_only_reads_runs_beside_each_other() -> None:
    async def scene() -> None:
        world = Scene()
        world.ask("reader", "a")
        world.ask("reader", "b")
        await world.until(2)
        assert await world.let("b") == ("b", "ok", "did b")
        assert await world.let("a") == ("a", "ok", "did a")

    play(scene)


def test_what_changes_waits_for_those_before_and_those_after_wait_for_it() -> None:
    async def scene() -> None:
        world = Scene()
        for tool, name in (("reader", "a"), ("changer", "b"), ("reader", "c"), ("changer", "d")):
            world.ask(tool, name)
        await world.until(1)
        for name in "abcd":
            await world.let(name)
        assert world.events == ["+a", "-a", "+b", "-b", "+c", "-c", "+d", "-d"]

    play(scene)


def test_one_after_the_other_where_the_configuration_says_so() -> None:
    async def scene() -> None:
        world = Scene(parallel=False)
        world.ask("reader", "a")
        world.ask("reader", "b")
        await world.let("a")
        await world.let("b")
        assert world.events == ["+a", "-a", "+b", "-b"]

    play(scene)


def test_the_turns_of_others_wait_for_nothing() -> None:
    async def scene() -> None:
        world = Scene()
        world.ask("changer", "a", turn="t1")
        world.ask("changer", "b", turn="t2")
        await world.until(2)
        await world.let("b")
        await world.let("a")

    play(scene)


def test_a_stopped_turn_ends_its_tools_and_hears_nothing_of_them() -> None:
    async def scene() -> None:
        world = Scene()
        world.ask("changer", "a")
        world.ask("changer", "b")
        world.ask("reader", "other", turn="t2")
        await world.until(2)
        world.runner.cancel("t")
        assert await world.let("other") == ("other", "ok", "did other")
        assert world.events == ["+a", "+other", "!a", "-other"]
        assert world.ended.empty()

    play(scene)


def test_a_tool_that_takes_too_long_is_ended() -> None:
    async def scene() -> None:
        world = Scene(timeout_s=0.01)
        world.ask("changer", "a")
        assert await world.ended.get() == ("a", "timeout", "Error: Tool execution timed out.")
        assert world.events == ["+a", "!a"]

    play(scene)


@pytest.mark.parametrize(
    ("call", "status", "text"),
    [
        (("nothing", "{}"), "error", "Error: Unknown tool"),
        (("broken", '{"name": "refuses"}'), "denied", "Error: not today."),
        (("broken", '{"name": "x"}'), "error", "Error: Tool execution failed (KeyError)."),
        (("reader", "{"), "error", "Error: the arguments of reader are not valid"),
        (("reader", '{"name": 3}'), "error", "`$.name`"),
        (("reader", '{"nme": "x"}'), "error", "unknown field `nme`"),
        (("reader", '{"name": "\ud800"}'), "error", "are not valid"),
    ],
)
def test_what_goes_wrong_is_told_to_the_model(call: tuple[str, str], status: str, text: str) -> None:
    async def scene() -> None:
        world = Scene()
        world.runner.start("t", ToolCall(call_id="c", name=call[0], arguments=call[1]))
        _, found, said = await world.ended.get()
        assert found == status
        assert text in said

    play(scene)


def test_an_endless_result_is_cut_and_says_so() -> None:
    async def scene() -> None:
        world = Scene()

        async def endless(name: str) -> str:
            return "x" * 3_000_000

        world.run = endless  # type: ignore[method-assign]
        world.ask("reader", "a")
        _, status, text = await world.ended.get()
        assert status == "ok"
        assert len(text) < 1_000_100
        assert text.endswith("[truncated: the result was 3000000 characters long]")

    play(scene)


def test_two_tools_of_one_name_are_refused() -> None:
    world = Scene()
    tool: Any = world.runner._toolbox.find("reader")
    with pytest.raises(ValueError, match="reader"):
        Toolbox([tool, tool])
