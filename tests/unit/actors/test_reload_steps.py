"""How one service is brought onto another configuration, and back."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from openclaw_actors.actors.reload_steps import Step, Steps
from openclaw_actors.actors.service import Service
from openclaw_actors.config import GatewayConfig, decode
from openclaw_actors.core.supervision import RestartLimits, RestartPolicy
from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout
from openclaw_actors.messages import InitFailed, Reconfigure, Reconfigured

OLD = GatewayConfig()
NEW = msgspec.structs.replace(OLD, port=81)
BAD = "port 81 is in use"


class Supervisor:
    """As much of one as a step needs; what is asked of it is written down."""

    def __init__(self, *, refuses: tuple[GatewayConfig, ...] = (), answer: Any = Reconfigured()) -> None:  # noqa: B008
        self._config = OLD
        self._draining = False
        self._services: dict[str, Service] = {}
        self._exits: dict[str, asyncio.Event] = {}
        self.refuses = refuses
        self.answer = answer
        self.done: list[str] = []

    def service(self, name: str = "websocket") -> Service:
        service = Service(name, RestartPolicy(RestartLimits()), OLD, {"a": "old"})
        self._services[name] = service
        service.begin("address", 7)
        service.state = "running"
        return service

    def _create(self, service: Service) -> None:
        assert service.address is None
        self.done.append(f"create on {service.config.port}")
        service.begin("address", 8)

    async def _initialise(self, service: Service) -> InitFailed | None:
        if service.config in self.refuses:
            asyncio.get_running_loop().call_soon(self.exits, service)
            return InitFailed(reason=BAD)
        service.state = "running"
        return None

    def exits(self, service: Service) -> None:
        service.ended()
        if service.name in self._exits:
            self._exits[service.name].set()

    def _restart(self, service: Service, incarnation: int) -> None:
        self.done.append("restart later")

    async def _end(self, name: str) -> None:
        self.done.append("end")
        self._services[name].stops = True
        self._services[name].ended()

    def _broadcast(self) -> None:
        self.done.append("broadcast")

    async def ask(self, address: Any, message: Reconfigure, *, timeout_s: float) -> Any:
        self.done.append(f"tell {decode(message.settings).port} {message.secrets}")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def call_later(self, delay_s: float, fn: Any, *args: Any) -> Any:
        return asyncio.get_running_loop().call_soon(fn, *args)


def steps(supervisor: Supervisor) -> Steps:
    return Steps(supervisor, lambda service: service.config)  # type: ignore[arg-type]


def bring(supervisor: Supervisor, service: Service, how: str) -> Step:
    async def play() -> Step:
        step: Step = await getattr(steps(supervisor), how)(service, NEW, {"a": "new"})
        await asyncio.sleep(0)
        return step

    return asyncio.run(play())


def test_who_is_told_runs_on_it_and_so_do_its_next_lives() -> None:
    supervisor = Supervisor(answer=Reconfigured(text="two closed"))
    service = supervisor.service()
    assert bring(supervisor, service, "tell") == ("told", "two closed")
    assert supervisor.done == ["tell 81 {'a': 'new'}"]
    assert (service.config, service.secrets) == (NEW, {"a": "new"})


def test_who_refuses_keeps_what_it_has_and_so_do_its_next_lives() -> None:
    supervisor = Supervisor(answer=AskRefused("configuration", "no"))
    service = supervisor.service()
    assert bring(supervisor, service, "tell") == ("kept_old", "no")
    assert (service.config, service.secrets) == (OLD, {"a": "old"})


@pytest.mark.parametrize(("answer", "expected"), [(ActorGone("x"), "restarted"), (AskTimeout("x"), "told")])
def test_who_dies_or_is_slow_comes_to_it_all_the_same(answer: Exception, expected: str) -> None:
    supervisor = Supervisor(answer=answer)
    service = supervisor.service()
    assert bring(supervisor, service, "tell")[0] == expected
    assert service.config == NEW


def test_a_stopped_channel_stays_stopped_and_is_started_on_it() -> None:
    for how in ("tell", "restart"):
        supervisor = Supervisor()
        service = supervisor.service()
        service.ended()
        service.state, service.stops = "stopped", True
        assert bring(supervisor, service, how)[0] == "told"
        assert (service.config, service.stops, supervisor.done) == (NEW, True, [])


def test_a_restart_replaces_the_process_once() -> None:
    supervisor = Supervisor()
    service = supervisor.service()
    assert bring(supervisor, service, "restart") == ("restarted", "")
    assert supervisor.done == ["end", "create on 81"]
    assert (service.stops, service.state, service.policy.total) == (False, "running", 0)


def test_what_does_not_come_up_goes_back_and_that_is_no_death() -> None:
    supervisor = Supervisor(refuses=(NEW,))
    service = supervisor.service()
    assert bring(supervisor, service, "restart") == ("kept_old", BAD)
    assert supervisor.done == ["end", "create on 81", "create on 18789"]
    assert (service.config, service.secrets, service.stops) == (OLD, {"a": "old"}, False)
    assert (service.state, service.policy.total) == ("running", 0)


def test_what_comes_up_on_neither_is_left_to_the_restarts_of_every_service() -> None:
    supervisor = Supervisor(refuses=(NEW, OLD))
    service = supervisor.service()
    assert bring(supervisor, service, "restart") == ("kept_old", BAD)
    assert supervisor.done == ["end", "create on 81", "create on 18789", "restart later"]
    assert (service.config, service.stops, service.state) == (OLD, False, "restarting")


def test_nothing_is_brought_up_while_everything_ends() -> None:
    supervisor = Supervisor()
    service = supervisor.service()
    supervisor._draining = True
    assert bring(supervisor, service, "restart")[0] == "kept_old"
    assert supervisor.done == ["end"]
    assert service.stops


def test_a_new_service_that_does_not_come_up_is_not_there_as_before() -> None:
    supervisor = Supervisor(refuses=(OLD,))
    service = supervisor.service("sms")
    service.ended()
    kind, text = asyncio.run(steps(supervisor).start(service))
    assert (kind, BAD in text) == ("kept_old", True)
    assert supervisor._services == {}


def test_nobody_waits_for_a_server_of_mcp_that_is_new() -> None:
    supervisor = Supervisor()
    service = supervisor.service("mcp:a")
    service.ended()
    assert asyncio.run(steps(supervisor).start(service))[0] == "started"
    assert supervisor.done == ["restart later"]


def test_one_that_goes_is_ended_and_everybody_told() -> None:
    supervisor = Supervisor()
    service = supervisor.service("sms")
    assert asyncio.run(steps(supervisor).end(service)) == ("ended", "")
    assert supervisor.done == ["end", "broadcast"]
    assert supervisor._services == {}
