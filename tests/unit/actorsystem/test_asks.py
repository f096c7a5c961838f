"""Every ask ends: by its answer, a refusal, its deadline, or its peer's end."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Coroutine
from typing import Any

import pytest

from openclaw_actors.actorsystem.asks import Asks, encode_refusal
from openclaw_actors.actorsystem.framing import Frame, Kind
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout, QueueFull


class Line:
    """Asks whose frames go nowhere, and the numbers under which they were posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, int]] = []
        self.is_full = False
        self.asks = Asks(self._post)

    def _post(self, key: str, ask_id: int, payload: bytes) -> bool:
        self.posted.append((key, ask_id))
        return not self.is_full

    def ask(self, key: str, timeout_s: float = 10.0) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.asks.ask(key, b"", timeout_s))

    def answer(self, sender: str, ask_id: int, payload: bytes, kind: Kind = Kind.ANSWER) -> None:
        self.asks.answered(sender, Frame(kind, ask_id, memoryview(payload)))


class TwoArguments(AskRefused):
    """Cannot be unpickled: its constructor asks for more than `args` holds."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.text = second

    def __reduce__(self) -> tuple[Any, ...]:
        return TwoArguments, ()


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 10))


def test_answers_reach_the_asks_that_they_belong_to() -> None:
    async def scene() -> None:
        line = Line()
        one, other = line.ask("/a"), line.ask("/a")
        await asyncio.sleep(0)
        (_, first), (_, second) = line.posted
        line.answer("/a", second, pickle.dumps("second"))
        line.answer("/a", first, pickle.dumps("first"))
        assert await one == "first"
        assert await other == "second"
        assert len(line.asks) == 0
        assert line.asks.peers() == []

    run(scene())


def test_an_answer_of_another_sender_or_one_too_late_is_dropped_unread() -> None:
    async def scene() -> None:
        line = Line()
        asked = line.ask("/a", 0.02)
        await asyncio.sleep(0)
        line.answer("/b", line.posted[0][1], b"not a pickle")
        with pytest.raises(AskTimeout):
            await asked
        line.answer("/a", line.posted[0][1], b"not a pickle")
        assert len(line.asks) == 0

    run(scene())


def test_long_deadlines_share_a_timer_which_ends_with_the_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_actors.actorsystem.asks._SWEPT_FROM_S", 0.01)
    monkeypatch.setattr("openclaw_actors.actorsystem.asks._SWEEP_S", 0.01)

    async def scene() -> None:
        line = Line()
        late, answered = line.ask("/a", 0.03), line.ask("/a", 5.0)
        with pytest.raises(AskTimeout):
            await late
        assert not answered.done()
        line.answer("/a", line.posted[1][1], pickle.dumps("here"))
        assert await answered == "here"
        while line.asks._sweeping is not None:  # noqa: ASYNC110 - ticks of the loop are what is waited for
            await asyncio.sleep(0.005)
        with pytest.raises(AskTimeout):
            await line.ask("/a", 0.03)

    run(scene())


def test_all_asks_of_a_lost_peer_end_at_once_and_no_others() -> None:
    async def scene() -> None:
        line = Line()
        doomed = [line.ask("/a") for _ in range(1000)]
        other = line.ask("/b")
        await asyncio.sleep(0)
        line.asks.peer_lost("/a")
        results = await asyncio.gather(*doomed, return_exceptions=True)
        assert {type(result) for result in results} == {ActorGone}
        assert line.asks.peers() == ["/b"]
        line.answer("/b", line.posted[-1][1], pickle.dumps("here"))
        assert await other == "here"
        line.asks.peer_lost("/a")  # nothing left to end

    run(scene())


def test_a_full_queue_and_a_cancelled_asker_leave_nothing_behind() -> None:
    async def scene() -> None:
        line = Line()
        line.is_full = True
        with pytest.raises(QueueFull):
            await line.ask("/a")
        line.is_full = False
        asked = line.ask("/a")
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert len(line.asks) == 0
        assert line.asks.peers() == []

    run(scene())


def test_an_answer_that_cannot_be_unpickled_refuses_the_asker_only() -> None:
    async def scene() -> None:
        line = Line()
        asked = line.ask("/a")
        await asyncio.sleep(0)
        line.answer("/a", line.posted[0][1], b"garbage")
        with pytest.raises(AskRefused, match="unreadable"):
            await asked

    run(scene())


def test_a_refusal_travels_with_its_code_and_text() -> None:
    async def scene() -> None:
        line = Line()
        for refusal in (AskRefused("busy", "later"), TwoArguments("busy", "later")):
            asked = line.ask("/a")
            await asyncio.sleep(0)
            line.answer("/a", line.posted[-1][1], encode_refusal(refusal), Kind.REFUSAL)
            with pytest.raises(AskRefused) as caught:
                await asked
            assert (caught.value.code, caught.value.text) == ("busy", "later")

    run(scene())


def test_a_refusal_that_is_no_refusal_is_one_all_the_same() -> None:
    async def scene() -> None:
        line = Line()
        asked = line.ask("/a")
        await asyncio.sleep(0)
        line.answer("/a", line.posted[0][1], pickle.dumps("nonsense"), Kind.REFUSAL)
        with pytest.raises(AskRefused, match="refused"):
            await asked

    run(scene())
