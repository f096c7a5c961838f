"""How a channel gets its port."""

from __future__ import annotations

import asyncio
import socket

import pytest

from openclaw_actors.actors.listening import ListenFailed, listen, shown_address


def test_a_port_whose_holder_is_dying_is_waited_for() -> None:
    async def scene() -> None:
        holder = socket.create_server(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        asyncio.get_running_loop().call_later(0.2, holder.close)
        (listener,) = await listen("127.0.0.1", port, setting="port")
        with listener:
            assert shown_address([listener]) == f"127.0.0.1:{port}"

    asyncio.run(scene())


def test_every_address_of_a_name_has_the_same_port() -> None:
    async def scene() -> None:
        listeners = await listen("localhost", 0, setting="port")
        ports = {listener.getsockname()[1] for listener in listeners}
        for listener in listeners:
            listener.close()
        assert len(ports) == 1

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("host", "code", "says"),
    [
        ("203.0.113.1", "configuration", "bind_address"),
        ("no-such-host.invalid", "configuration", "bind_address"),
    ],
)
def test_what_cannot_be_had_is_explained(host: str, code: str, says: str) -> None:
    with pytest.raises(ListenFailed) as failure:
        asyncio.run(listen(host, 0, setting="port", retry_for_s=0.0))
    assert failure.value.code == code
    assert says in failure.value.reason


def test_a_port_in_use_is_named_at_the_end_of_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ListenFailed) as failure:
            asyncio.run(listen("127.0.0.1", port, setting="http.port", retry_for_s=0.1))
    assert failure.value.code == "port_in_use"
    assert f"port {port} is in use" in failure.value.reason
    assert "`http.port`" in failure.value.reason


def test_an_ipv6_address_is_shown_as_urls_have_it() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        assert shown_address([listener]) == f"[::1]:{listener.getsockname()[1]}"
