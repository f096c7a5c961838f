"""Who hears a session's events."""

from __future__ import annotations

from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import Fork, Phase, RouterEffect, RouterLimits, SendToSession, outbox_of
from openclaw_actors.messages import Followers, PassivationAsked, Replay, Unfollow
from tests.unit.core.router_world import delivery

S, W = "sms:+15551234567", "websocket:local:main"


def forks(effects: list[RouterEffect]) -> list[Fork]:
    return [effect for effect in effects if isinstance(effect, Fork)]


def told(effects: list[RouterEffect]) -> list[frozenset[str]]:
    return [
        effect.message.channels
        for effect in effects
        if isinstance(effect, SendToSession) and isinstance(effect.message, Followers)
    ]


def watching(channel: str) -> Replay:
    return Replay(session=S, channel=channel, connection="c", after_seq=0)


def test_replies_of_telephone_numbers_leave_by_the_outbox_and_no_others_do() -> None:
    assert outbox_of(S) == "sms"
    assert outbox_of(W) is None
    assert outbox_of("websocket:local:sms:+1555") is None


def test_the_outbox_follows_without_asking_and_the_channel_that_brought_the_message_does_not() -> None:
    core = RouterCore(RouterLimits())
    assert [fork.followers for fork in forks(core.deliver(delivery(S, "m1"), 0.0))] == [frozenset({"sms"})]
    assert [fork.followers for fork in forks(core.deliver(delivery(W, "m1"), 0.0))] == [
        frozenset({"websocket"})
    ]


def test_the_outbox_follows_sessions_that_are_resumed_at_the_start() -> None:
    core = RouterCore(RouterLimits())
    assert [fork.followers for fork in forks(core.recover([S, W], 0.0))] == [frozenset({"sms"}), frozenset()]


def test_nothing_ends_the_outbox_s_following() -> None:
    core = RouterCore(RouterLimits())
    core.deliver(delivery(S, "m1"), 0.0)
    core.ready(S, 1, 10, 0.0, resumes=False)
    assert told(core.replay(watching("websocket"), 1.0)) == [frozenset({"sms", "websocket"})]
    assert told(core.unfollow(Unfollow(session=S, channel="sms"))) == [frozenset({"sms", "websocket"})]
    core.channel_restarted("sms")
    assert told(core.unfollow(Unfollow(session=S, channel="websocket"))) == [frozenset({"sms"})]


def test_a_session_that_only_the_outbox_follows_leaves_nothing_behind_when_it_leaves() -> None:
    core = RouterCore(RouterLimits())
    core.deliver(delivery(S, "m1"), 0.0)
    core.ready(S, 1, 10, 0.0, resumes=False)
    core.entries[S].unsettled.clear()
    core.passivation_asked(PassivationAsked(session=S, incarnation=1), 1.0)
    assert core.entries[S].phase is Phase.PASSIVATING
    core.exited(S, 1.0)
    assert core.entries == {}
