"""An endpoint talks with actors from outside; what is no message harms it not."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from openclaw_actors.actorsystem import Address, Endpoint, Limits
from openclaw_actors.actorsystem.framing import Kind
from openclaw_actors.errors import ActorGone, AskRefused, FrameTooLarge, QueueFull, StateDirError

_WAIT_S = 10.0


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), _WAIT_S))


def test_messages_come_to_the_inbox_and_garbage_is_dropped(run_dir: str) -> None:
    async def scene() -> None:
        async with Endpoint(run_dir) as one, Endpoint(run_dir) as other:
            inbox: asyncio.Queue[tuple[Any, Address]] = asyncio.Queue(maxsize=4)
            one.subscribe(inbox)
            key = str(one.address.addressDetails)
            other.send(one.address, "before")
            other._opened().post(key, Kind.TELL, 0, b"no pickle", None)
            other.send(one.address, "after")
            assert await inbox.get() == ("before", other.address)
            assert await inbox.get() == ("after", other.address)

    play(scene)


def test_an_inbox_that_is_full_drops_and_goes_on(run_dir: str) -> None:
    async def scene() -> None:
        async with Endpoint(run_dir) as one, Endpoint(run_dir) as other:
            inbox: asyncio.Queue[tuple[Any, Address]] = asyncio.Queue(maxsize=2)
            one.subscribe(inbox)
            for number in range(5):
                other.send(one.address, number)
            with pytest.raises(AskRefused):  # arrives after them
                await other.ask(one.address, "?", timeout_s=_WAIT_S)
            assert [inbox.get_nowait()[0] for _ in range(2)] == [0, 1]
            assert inbox.empty()

    play(scene)


def test_the_end_of_the_other_side_ends_an_ask_at_once(run_dir: str) -> None:
    async def scene() -> None:
        async with Endpoint(run_dir) as one:
            with pytest.raises(ActorGone):
                await one.ask(os.path.join(run_dir, "a9"), "?", timeout_s=60)

    play(scene)


def test_closing_ends_the_asks_and_removes_the_socket(run_dir: str) -> None:
    async def scene() -> None:
        one, silent = Endpoint(run_dir), Endpoint(run_dir)
        one.open()
        silent.open()
        silent._opened().set_paused(True)
        asking = asyncio.ensure_future(one.ask(silent.address, "?", timeout_s=60))
        await asyncio.sleep(0)
        one.close()
        with pytest.raises(ActorGone):
            await asking
        silent.close()
        one.close()  # twice is fine
        with pytest.raises(RuntimeError, match="not open"):
            one.send(Address("/r/a1"), "x")
        assert os.listdir(run_dir) == []

    play(scene)


def test_limits_are_told_to_the_sender(run_dir: str) -> None:
    async def scene() -> None:
        limits = Limits(frame=1000, peer_queue_frames=3)
        async with Endpoint(run_dir, limits=limits) as one, Endpoint(run_dir) as other:
            with pytest.raises(FrameTooLarge):
                one.send(other.address, "x" * 2000)
            for _ in range(3):
                one.send(other.address, "x")
            with pytest.raises(QueueFull):
                one.send(other.address, "x")

    play(scene)


def test_an_endpoint_that_is_asked_refuses(run_dir: str) -> None:
    async def scene() -> None:
        async with Endpoint(run_dir) as one, Endpoint(run_dir) as other:
            with pytest.raises(AskRefused, match="endpoint"):
                await one.ask(other.address, pickle.dumps("x"), timeout_s=_WAIT_S)

    play(scene)


def test_a_directory_that_cannot_be_used_is_named(run_dir: str) -> None:
    async def scene() -> None:
        with pytest.raises(StateDirError, match="missing"):
            Endpoint(os.path.join(run_dir, "missing")).open()
        with pytest.raises(StateDirError, match="too long"):
            Endpoint(os.path.join(run_dir, "x" * 100)).open()

    play(scene)
