"""What the actor system promises, with real processes: order, asks, crashes, ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.actorsystem import GatewaySystem, Limits, address_key
from openclaw_actors.actorsystem.framing import Kind, encode
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout
from tests.size import FULL
from tests.system.actorsystem.cast import (
    AskMany,
    Churn,
    Crash,
    Flood,
    Leave,
    Look,
    Make,
    Note,
    Puppet,
    Refuse,
    Relay,
    Seen,
    Self,
    Sizes,
    Sleep,
    Thread,
    WaitForCancelled,
    Wake,
)
from tests.system.actorsystem.stage import eventually, on_stage
from tests.system.proc import is_alive


def test_messages_arrive_in_the_order_of_their_sending() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, _ = await ask(puppet, Make(), timeout_s=30)
        await ask(puppet, Relay(child, count=3000), timeout_s=30)

        async def all_there() -> bool:
            return len(await ask(child, Seen(), timeout_s=30)) == 3000

        await eventually(all_there)
        assert await ask(child, Seen(), timeout_s=30) == list(range(3000))
        await ask(puppet, Self(200), timeout_s=30)
        assert await ask(puppet, Seen(), timeout_s=30) == list(range(200))

    on_stage(play)


def test_an_ask_ends_by_its_deadline_a_refusal_or_the_end_of_the_actor() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=30)
        with pytest.raises(AskTimeout):
            await ask(child, Sleep(3.0), timeout_s=0.1)
        with pytest.raises(AskRefused, match="not_now"):
            await ask(child, Refuse(), timeout_s=30)
        with pytest.raises(AskRefused, match="unknown"):
            await ask(child, "a string", timeout_s=30)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ActorGone):
            await ask(child, Look(), timeout_s=30)
        assert await ask(puppet, Relay(child, ask_s=30), timeout_s=30) == "ActorGone"

    on_stage(play)


@pytest.mark.parametrize("where", ["handler", "coroutine", "task", "timer"])
def test_a_crash_is_told_once_and_the_handler_not_called_again(where: str) -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=30)
        system.endpoint.send(child, Crash(where))
        await eventually(lambda: not is_alive(pid))

        async def told() -> bool:
            return len(await ask(puppet, Seen(), timeout_s=30)) >= 2

        await eventually(told)
        failed, exited = await ask(puppet, Seen(), timeout_s=30)
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
        child, child_pid = await ask(puppet, Make(), timeout_s=30)
        grandchild, grandchild_pid = await ask(child, Make(leads=True), timeout_s=30)
        # It has begun: the kernel knows that it dies with its parent.
        await ask(grandchild, Look(), timeout_s=30)
        if stopped:
            os.kill(grandchild_pid, signal.SIGSTOP)
        os.kill((await ask(puppet, Look(), timeout_s=30)).pid, signal.SIGKILL)
        await eventually(lambda: not is_alive(child_pid) and not is_alive(grandchild_pid))

    on_stage(play)


def test_actors_are_deaf_to_the_signals_of_a_service_manager() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        view = await system.endpoint.ask(puppet, Look(), timeout_s=30)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(view.pid, number)
        assert (await system.endpoint.ask(puppet, Look(), timeout_s=30)).pid == view.pid

    on_stage(play)


def test_the_twentieth_child_holds_no_descriptors_of_the_others() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        views = [
            await ask((await ask(puppet, Make(leads=True), timeout_s=30))[0], Look(), timeout_s=30)
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
                child, pid = await ask(puppet, Make(), timeout_s=30)
                await ask(puppet, Relay(child, ask_s=30), timeout_s=30)
                os.kill(pid, signal.SIGKILL)

            async def alone() -> bool:
                return bool((await ask(puppet, Sizes(), timeout_s=30))["children"] == 0)

            await eventually(alone)

        await come_and_go(5)
        before = await ask(puppet, Sizes(), timeout_s=30)
        await come_and_go(150 if FULL else 60)
        assert await ask(puppet, Sizes(), timeout_s=30) == before

    on_stage(play)


def test_a_message_to_the_dead_comes_back_to_its_sender() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=30)
        system.endpoint.send(child, Leave())
        await eventually(lambda: not is_alive(pid))
        await ask(puppet, Relay(child, count=1), timeout_s=30)

        async def told() -> bool:
            return ("dead", child, 0) in await ask(puppet, Seen(), timeout_s=30)

        await eventually(told)

    on_stage(play)


def test_a_peer_that_does_not_read_fills_a_queue_and_holds_nobody() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=30)
        os.kill(pid, signal.SIGSTOP)
        sent, refused, seconds = await ask(puppet, Flood(child, count=300, size=65536), timeout_s=30)
        assert refused > 0
        assert sent > 0
        assert seconds < 20
        assert "overflow" in await ask(puppet, Seen(), timeout_s=30)
        os.kill(pid, signal.SIGCONT)

        async def all_there() -> bool:
            return len(await ask(child, Seen(), timeout_s=30)) == sent

        await eventually(all_there)

    on_stage(play, limits=Limits(peer_queue=1024 * 1024))


def test_a_message_over_the_limit_is_refused_and_the_next_one_arrives() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, _ = await ask(puppet, Make(), timeout_s=30)
        assert (await ask(puppet, Flood(child, count=1, size=70000), timeout_s=30))[:2] == (0, 1)
        await ask(puppet, Flood(child, count=1, size=60000), timeout_s=30)

        async def there() -> bool:
            return len(await ask(child, Seen(), timeout_s=30)) == 1

        await eventually(there)

    on_stage(play, limits=Limits(frame=65536))


def test_the_death_of_the_admin_is_the_death_of_all() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        view = await system.endpoint.ask(puppet, Look(), timeout_s=30)
        assert system.admin_pid is not None
        os.kill(system.admin_pid, signal.SIGKILL)
        await system.admin_exited.wait()
        await eventually(lambda: not is_alive(view.pid))
        with pytest.raises(ActorGone):
            await system.ping_admin(timeout_s=30)
        system.endpoint.send(puppet, Note(1))  # to the dead: no error

    on_stage(play)


def test_all_asks_that_wait_end_when_their_actor_dies() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=30)
        asking = asyncio.ensure_future(
            ask(puppet, AskMany(2000, Sleep(60), target=child, timeout_s=60), timeout_s=30)
        )

        async def all_asked() -> bool:
            return (await ask(puppet, Sizes(), timeout_s=30))["asks"] == 2000

        await eventually(all_asked)
        os.kill(pid, signal.SIGKILL)
        assert await asking == ["ActorGone"]
        assert (await ask(puppet, Sizes(), timeout_s=30))["asks"] == 0

    on_stage(play)


def test_an_actor_can_ask_itself() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        assert await system.endpoint.ask(puppet, AskMany(20, Look()), timeout_s=30) == ["View"]
        assert await system.endpoint.ask(puppet, AskMany(1, Refuse()), timeout_s=30) == ["AskRefused"]

    on_stage(play)


def test_an_ask_whose_handler_waits_for_something_cancelled_is_refused() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        with pytest.raises(AskRefused, match="cancelled"):
            await system.endpoint.ask(puppet, WaitForCancelled(), timeout_s=30)
        await system.endpoint.ask(puppet, Look(), timeout_s=30)

    on_stage(play)


def test_an_actor_ends_though_its_on_stop_waits_for_something_cancelled() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        child, pid = await system.endpoint.ask(puppet, Make(), timeout_s=30)
        await system.endpoint.ask(child, WaitForCancelled(when_stopping=True), timeout_s=30)
        system.endpoint.send(child, Leave())
        await eventually(lambda: not is_alive(pid))

    on_stage(play)


def test_an_actor_with_threads_may_not_create_actors() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        child, pid = await ask(puppet, Make(), timeout_s=30)
        await ask(child, Thread(), timeout_s=30)
        system.endpoint.send(child, Make())
        await eventually(lambda: not is_alive(pid))

        async def told() -> bool:
            return len(await ask(puppet, Seen(), timeout_s=30)) >= 2

        await eventually(told)
        assert (await ask(puppet, Seen(), timeout_s=30))[0][2].startswith("RuntimeError")

    on_stage(play)


def test_wakeups_come_in_order_and_a_cancelled_timer_never() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        await ask(puppet, Wake((3, 1, 2), delay_s=0.02), timeout_s=30)

        async def all_there() -> bool:
            return len(await ask(puppet, Seen(), timeout_s=30)) >= 3

        await eventually(all_there)
        assert await ask(puppet, Seen(), timeout_s=30) == [3, 1, 2]

    on_stage(play)


def test_garbage_on_an_actors_socket_harms_nobody() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        key = address_key(puppet)
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 70_000, encode(Kind.HELLO, 0, b"/r/x")[:7]):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
                stranger.connect(key)
                try:
                    stranger.sendall(garbage)
                except OSError:
                    continue  # it was closed before all was sent
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.connect(key)
            stranger.sendall(encode(Kind.HELLO, 0, b"/r/x") + encode(Kind.TELL, 0, b"no pickle"))
            stranger.sendall(encode(Kind.ANSWER, 12345, b"no pickle") + encode(Kind.ASK, 1, b"no pickle"))
            await system.endpoint.ask(puppet, Look(), timeout_s=30)

        async def forgotten() -> bool:
            return (await system.endpoint.ask(puppet, Sizes(), timeout_s=30))["incoming"] == 1

        await eventually(forgotten)

    on_stage(play)


CHILDREN = 2000 if FULL else 400


def test_a_parent_is_the_same_after_many_children() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        ask = system.endpoint.ask
        before_kb = await ask(puppet, Churn(100), timeout_s=120)
        before = await ask(puppet, Sizes(), timeout_s=30)
        after_kb = await ask(puppet, Churn(CHILDREN), timeout_s=200)
        assert await ask(puppet, Sizes(), timeout_s=30) == before
        assert (
            after_kb - before_kb < 64 + CHILDREN // 10
        )  # 130 bytes a child of 2,000; the pages of a few are noise

    on_stage(play, timeout_s=230)


def test_creating_ends_at_once_when_the_admin_dies() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        assert system.admin_pid is not None
        os.kill(system.admin_pid, signal.SIGSTOP)
        creating = asyncio.ensure_future(system.create(Puppet, timeout_s=60))
        await asyncio.sleep(0)
        os.kill(system.admin_pid, signal.SIGKILL)
        with pytest.raises(ActorGone):
            await creating

    on_stage(play)


def test_actors_can_be_created_at_the_same_time() -> None:
    async def play(system: GatewaySystem, puppet: Any) -> None:
        addresses = await asyncio.gather(*(system.create(Puppet) for _ in range(5)))
        views = [await system.endpoint.ask(address, Look(), timeout_s=30) for address in addresses]
        assert len({view.pid for view in views}) == 5

    on_stage(play)
