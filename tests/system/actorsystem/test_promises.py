"""What the actor system promises, with real processes: order, asks, crashes, ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.actorsystem import GatewaySystem, Limits
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout
from tests.system.actorsystem.cast import (
    Crash,
    Flood,
    Leave,
    Look,
    Make,
    Note,
    Refuse,
    Relay,
    Seen,
    Self,
    Sizes,
    Sleep,
)
from tests.system.actorsystem.stage import eventually, on_stage
from tests.system.proc import is_alive


def test_messages_arrive_in_the_order_of_their_sending() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, _ = await ask(puppet, Make(), timeout_s=5)
        await ask(puppet, Relay(child, count=3000), timeout_s=5)

        async def all_there() -> bool:
            return len(await ask(child, Seen(), timeout_s=5)) == 3000

        await eventually(all_there)
        assert await ask(child, Seen(), timeout_s=5) == list(range(3000))
        await ask(puppet, Self(200), timeout_s=5)
        assert await ask(puppet, Seen(), timeout_s=5) == list(range(200))

    on_stage(play)


def test_an_ask_ends_by_its_deadline_a_refusal_or_the_end_of_the_actor() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=5)
        with pytest.raises(AskTimeout):
            await ask(child, Sleep(3.0), timeout_s=0.1)
        with pytest.raises(AskRefused, match="not_now"):
            await ask(child, Refuse(), timeout_s=5)
        with pytest.raises(AskRefused, match="unknown"):
            await ask(child, "a string", timeout_s=5)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ActorGone):
            await ask(child, Look(), timeout_s=20)
        assert await ask(puppet, Relay(child, ask_s=20), timeout_s=5) == "ActorGone"

    on_stage(play)


@pytest.mark.parametrize("where", ["handler", "coroutine", "task", "timer"])
def test_a_crash_is_told_once_and_the_handler_not_called_again(where: str) -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=5)
        system.endpoint.send(child, Crash(where))
        await eventually(lambda: not is_alive(pid))

        async def told() -> bool:
            return len(await ask(puppet, Seen(), timeout_s=5)) >= 2

        await eventually(told)
        failed, exited = await ask(puppet, Seen(), timeout_s=5)
        assert failed[0] == "failed"
        assert failed[1] == child
        assert failed[2].startswith("ValueError at cast.py")
        assert "user text" not in failed[2]
        assert failed[3] == ("m-1" if where in ("handler", "coroutine") else None)
        assert exited == ("exited", child)
        assert Path(system.run_dir, "calls").read_text() == "call\n"  # noqa: ASYNC240 - a small local file

    on_stage(play)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_killed_parent_takes_everything_below_it_along(stopped: bool) -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, child_pid = await ask(puppet, Make(), timeout_s=5)
        grandchild, grandchild_pid = await ask(child, Make(leads=True), timeout_s=5)
        # It has begun: the kernel knows that it dies with its parent.
        await ask(grandchild, Look(), timeout_s=5)
        if stopped:
            os.kill(grandchild_pid, signal.SIGSTOP)
        os.kill((await ask(puppet, Look(), timeout_s=5)).pid, signal.SIGKILL)
        await eventually(lambda: not is_alive(child_pid) and not is_alive(grandchild_pid))

    on_stage(play)


def test_actors_are_deaf_to_the_signals_of_a_service_manager() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        view = await system.endpoint.ask(puppet, Look(), timeout_s=5)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(view.pid, number)
        assert (await system.endpoint.ask(puppet, Look(), timeout_s=5)).pid == view.pid

    on_stage(play)


def test_the_twentieth_child_holds_no_descriptors_of_the_others() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        views = [
            await ask((await ask(puppet, Make(leads=True), timeout_s=5))[0], Look(), timeout_s=5)
            for _ in range(20)
        ]
        assert views[-1].descriptors == views[0].descriptors
        assert views[-1].session == views[-1].pid
        assert len({str(view.address.addressDetails) for view in views}) == 20

    on_stage(play)


def test_a_parent_keeps_nothing_of_its_lost_children() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask

        async def come_and_go(count: int) -> None:
            for _ in range(count):
                child, pid = await ask(puppet, Make(), timeout_s=5)
                await ask(puppet, Relay(child, ask_s=5), timeout_s=5)
                os.kill(pid, signal.SIGKILL)

            async def alone() -> bool:
                return bool((await ask(puppet, Sizes(), timeout_s=5))["children"] == 0)

            await eventually(alone)

        await come_and_go(5)
        before = await ask(puppet, Sizes(), timeout_s=5)
        await come_and_go(150)
        assert await ask(puppet, Sizes(), timeout_s=5) == before

    on_stage(play, timeout_s=50)


def test_a_message_to_the_dead_comes_back_to_its_sender() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=5)
        system.endpoint.send(child, Leave())
        await eventually(lambda: not is_alive(pid))
        await ask(puppet, Relay(child, count=1), timeout_s=5)

        async def told() -> bool:
            return ("dead", child, 0) in await ask(puppet, Seen(), timeout_s=5)

        await eventually(told)

    on_stage(play)


def test_a_peer_that_does_not_read_fills_a_queue_and_holds_nobody() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=5)
        os.kill(pid, signal.SIGSTOP)
        sent, refused, seconds = await ask(puppet, Flood(child, count=300, size=65536), timeout_s=10)
        assert refused > 0
        assert sent > 0
        assert seconds < 2.0
        assert "overflow" in await ask(puppet, Seen(), timeout_s=5)
        os.kill(pid, signal.SIGCONT)

        async def all_there() -> bool:
            return len(await ask(child, Seen(), timeout_s=5)) == sent

        await eventually(all_there)

    on_stage(play, limits=Limits(peer_queue=1024 * 1024))


def test_a_message_over_the_limit_is_refused_and_the_next_one_arrives() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, _ = await ask(puppet, Make(), timeout_s=5)
        assert (await ask(puppet, Flood(child, count=1, size=70000), timeout_s=5))[:2] == (0, 1)
        await ask(puppet, Flood(child, count=1, size=60000), timeout_s=5)

        async def there() -> bool:
            return len(await ask(child, Seen(), timeout_s=5)) == 1

        await eventually(there)

    on_stage(play, limits=Limits(frame=65536))


def test_the_death_of_the_admin_is_the_death_of_all() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        view = await system.endpoint.ask(puppet, Look(), timeout_s=5)
        assert system.admin_pid is not None
        os.kill(system.admin_pid, signal.SIGKILL)
        await system.admin_exited.wait()
        await eventually(lambda: not is_alive(view.pid))
        with pytest.raises(ActorGone):
            await system.ping_admin(timeout_s=5)
        system.endpoint.send(puppet, Note(1))  # to the dead: no error

    on_stage(play)
