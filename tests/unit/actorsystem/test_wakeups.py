"""Wake-ups come in the order of their deadlines, equal ones in the order of their requests."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from openclaw_actors.actorsystem.wakeups import Wakeups


def test_wakeups_come_in_order() -> None:
    async def run() -> list[Any]:
        due: list[Any] = []
        ended = asyncio.Event()
        wakeups = Wakeups(asyncio.get_running_loop(), lambda _period, payload: due.append(payload))
        wakeups.add(0.03, "late")
        for number in range(5):
            wakeups.add(0.01, number)
        wakeups.add(0.0, "now")
        asyncio.get_running_loop().call_later(0.05, ended.set)
        await asyncio.wait_for(ended.wait(), 5)
        assert len(wakeups) == 0
        return due

    assert asyncio.run(run()) == ["now", 0, 1, 2, 3, 4, "late"]


class _StoppedClock:
    """A loop whose clock stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, fn: Any) -> Any:
        self.timers.append((when, fn))
        return SimpleNamespace(cancel=lambda: self.timers.remove((when, fn)))


def test_wakeups_of_the_same_deadline_come_in_the_order_of_their_requests() -> None:
    clock: Any = _StoppedClock()
    due: list[Any] = []
    wakeups = Wakeups(clock, lambda _period, payload: due.append(payload))
    for number in range(20):
        wakeups.add(1.0, number)
    assert [round(seconds, 3) for seconds, _ in wakeups.pending()] == [1.0] * 20
    clock.now += 1.0
    ((_, expire),) = clock.timers
    expire()
    assert due == list(range(20))


def test_forgotten_wakeups_leave_no_timer() -> None:
    clock: Any = _StoppedClock()
    wakeups = Wakeups(clock, lambda _period, _payload: None)
    wakeups.add(timedelta(seconds=5), "x")
    wakeups.add(2.0, "y")
    assert [when for when, _ in clock.timers] == [102.0]  # one timer, for the soonest
    wakeups.close()
    assert clock.timers == []
    assert len(wakeups) == 0
