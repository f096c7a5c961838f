"""Wake-ups come in the order of their deadlines, equal ones in the order of their requests."""

from __future__ import annotations

import asyncio
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
