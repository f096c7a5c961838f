"""A message handed over for an HTTP request has one outcome: taken, or not taken and why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openclaw_actors.actors.http_deliveries import Deliveries, NotTaken
from openclaw_actors.core.series import Tally
from openclaw_actors.messages import Accepted, Deliver, Message, MessageAccepted, Refused


class Scene:
    """Deliveries with everything around them recorded."""

    def __init__(self, *, router: bool = True, max_per_session: int = 3) -> None:
        self.routed: list[Message] = []
        self.settled: list[str] = []
        self.counters = Tally()
        self.deliveries = Deliveries(
            channel="http",
            route=self.routed.append,
            max_per_session=max_per_session,
            timeout_s=10.0,
            settled=self.settled.append,
            counters=self.counters,
        )
        if router:
            self.deliveries.router_replaced()

    async def hand_over(self, **fields: Any) -> tuple[asyncio.Task[Accepted], Deliver]:
        """Begin to hand a message over; returns with it on its way to the router."""
        before = len(self.routed)
        message: dict[str, Any] = {"session": "s", "text": "hello", "message_id": None, **fields}
        task = asyncio.ensure_future(self.deliveries.take(**message))
        await asyncio.sleep(0)
        (deliver,) = self.routed[before:]
        assert isinstance(deliver, Deliver)
        return task, deliver

    def accept(self, deliver: Deliver) -> Accepted:
        accepted = Accepted(
            session=deliver.session, delivery_id=deliver.delivery_id, message_id=deliver.message_id
        )
        self.deliveries.accepted(accepted)
        return accepted


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(5):
            await scene()

    asyncio.run(within())


def test_a_message_is_taken_when_its_receipt_comes() -> None:
    async def scene() -> None:
        world = Scene()
        task, deliver = await world.hand_over(message_id="SM1", text="hi")
        assert (deliver.session, deliver.message_id, deliver.text, deliver.channel) == (
            "s",
            "SM1",
            "hi",
            "http",
        )
        assert not task.done()
        assert len(world.deliveries) == 1
        receipt = world.accept(deliver)
        assert await task == receipt
        assert world.settled == ["s"]
        assert len(world.deliveries) == 0

    play(scene)


def test_without_a_key_every_hand_over_is_a_message_of_its_own() -> None:
    async def scene() -> None:
        world = Scene()
        tasks = [await world.hand_over() for _ in range(3)]
        assert len({deliver.message_id for _, deliver in tasks}) == 3
        for task, deliver in tasks:
            world.accept(deliver)
            await task

    play(scene)


def test_a_refusal_says_why() -> None:
    async def scene() -> None:
        world = Scene()
        task, deliver = await world.hand_over()
        world.deliveries.refused(
            Refused(
                session="s",
                delivery_id=deliver.delivery_id,
                message_id=deliver.message_id,
                code="persistence_failed",
                text="It could not be written.",
            )
        )
        with pytest.raises(NotTaken) as caught:
            await task
        assert (caught.value.code, caught.value.text) == ("persistence_failed", "It could not be written.")
        assert world.settled == []

    play(scene)


def test_what_is_held_goes_to_the_next_router_in_order() -> None:
    async def scene() -> None:
        world = Scene()
        handed = [await world.hand_over(text=str(number)) for number in range(3)]
        world.deliveries.router_known = False
        world.accept(handed[0][1])
        world.routed.clear()
        world.deliveries.router_replaced()
        assert world.routed == [deliver for _, deliver in handed[1:]]
        for task, deliver in handed:
            world.accept(deliver)
            await task

    play(scene)


def test_without_a_router_a_message_waits_for_one() -> None:
    async def scene() -> None:
        world = Scene(router=False)
        task = asyncio.ensure_future(world.deliveries.take(session="s", text="hello", message_id=None))
        await asyncio.sleep(0)
        assert world.routed == []
        world.deliveries.router_replaced()
        (deliver,) = world.routed
        assert isinstance(deliver, Deliver)
        world.accept(deliver)
        await task

    play(scene)


def test_a_message_that_nobody_takes_is_given_back_after_its_time() -> None:
    async def scene() -> None:
        world = Scene()
        task, deliver = await world.hand_over()
        world.deliveries.tick(time.monotonic() + 9)
        assert not task.done()
        world.deliveries.tick(time.monotonic() + 11)
        with pytest.raises(NotTaken) as caught:
            await task
        assert caught.value.code == "not_accepted"
        world.accept(deliver)  # too late, and nobody minds
        assert world.settled == []

    play(scene)


def test_one_session_may_wait_only_so_much_and_others_do_not_mind() -> None:
    async def scene() -> None:
        world = Scene(max_per_session=2)
        handed = [await world.hand_over() for _ in range(2)]
        with pytest.raises(NotTaken) as caught:
            await world.deliveries.take(session="s", text="x", message_id=None)
        assert caught.value.code == "busy"
        handed.append(await world.hand_over(session="other"))
        for task, deliver in handed:
            world.accept(deliver)
            await task

    play(scene)


def test_a_caller_that_goes_away_takes_nothing_back() -> None:
    async def scene() -> None:
        world = Scene()
        task, deliver = await world.hand_over()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(world.deliveries) == 1
        world.accept(deliver)
        assert world.settled == ["s"]
        assert len(world.deliveries) == 0

    play(scene)


def test_draining_takes_no_more_and_waits_for_what_is_on_its_way() -> None:
    async def scene() -> None:
        world = Scene()
        task, deliver = await world.hand_over()
        draining = asyncio.ensure_future(world.deliveries.drain(60))
        await asyncio.sleep(0)
        with pytest.raises(NotTaken) as caught:
            await world.deliveries.take(session="s", text="x", message_id=None)
        assert caught.value.code == "draining"
        assert not draining.done()
        world.accept(deliver)
        await draining
        await task

    play(scene)


def test_the_end_of_the_channel_tells_who_still_waits() -> None:
    async def scene() -> None:
        world = Scene()
        task, _ = await world.hand_over()
        await world.deliveries.drain(0.01)
        world.deliveries.shut_down()
        with pytest.raises(NotTaken) as caught:
            await task
        assert caught.value.code == "draining"

    play(scene)


@pytest.mark.parametrize("patient", [False, True])
def test_what_becomes_of_a_message_is_counted_unless_its_taker_tries_again(patient: bool) -> None:
    async def scene() -> None:
        world = Scene()
        task, deliver = await world.hand_over(patient=patient)
        refused = Refused(
            session="s",
            delivery_id=deliver.delivery_id,
            message_id=deliver.message_id,
            code="busy",
            text="no",
        )
        world.deliveries.refused(refused)
        with pytest.raises(NotTaken):
            await task
        task, deliver = await world.hand_over(patient=patient)
        receipt = MessageAccepted(seq=1, message_id=deliver.message_id, text="hello", queued=0)
        world.deliveries.accepted(
            Accepted(
                session="s",
                delivery_id=deliver.delivery_id,
                message_id=deliver.message_id,
                duplicate=receipt,
            )
        )
        await task
        world.deliveries.draining = True
        with pytest.raises(NotTaken):
            await world.deliveries.take(session="s", text="x", message_id=None, patient=patient)
        counted = {
            'messages_rejected_total{channel="http",reason="busy"}': 1,
            'messages_rejected_total{channel="http",reason="draining"}': 1,
            'messages_duplicate_total{channel="http"}': 1,
        }
        assert dict(world.counters) == ({} if patient else counted)

    play(scene)
