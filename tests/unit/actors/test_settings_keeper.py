"""What `start` is offered, it has before the supervisor goes on."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_actors.actors.settings_keeper import SettingsKeeper
from openclaw_actors.messages import SettingsOffered, WatchSettings


def test_an_offer_is_over_when_start_asks_again() -> None:
    async def play() -> None:
        keeper = SettingsKeeper()
        offer = asyncio.ensure_future(keeper.offer(SettingsOffered(vault="theirs"), timeout_s=5.0))
        assert await keeper.watched(WatchSettings()) == SettingsOffered(vault="theirs")
        await asyncio.sleep(0)
        assert not offer.done()
        again = asyncio.ensure_future(keeper.watched(WatchSettings(vault="ours")))
        assert await offer == WatchSettings(vault="ours")
        assert not again.done()
        later = asyncio.ensure_future(keeper.offer(SettingsOffered(ws="w"), timeout_s=5.0))
        assert await again == SettingsOffered(ws="w")
        later.cancel()

    asyncio.run(play())


def test_without_start_there_is_no_end_but_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(SettingsKeeper().offer(SettingsOffered(), timeout_s=0.01))


def test_who_asks_anew_takes_the_place_of_its_earlier_question() -> None:
    async def play() -> None:
        keeper = SettingsKeeper()
        first = asyncio.ensure_future(keeper.watched(WatchSettings()))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(keeper.watched(WatchSettings()))
        offer = asyncio.ensure_future(keeper.offer(SettingsOffered(ws="w"), timeout_s=5.0))
        assert await second == SettingsOffered(ws="w")
        assert first.cancelled()
        offer.cancel()

    asyncio.run(play())
