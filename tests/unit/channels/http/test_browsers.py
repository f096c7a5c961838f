"""Which pages may use the interface."""

from __future__ import annotations

import pytest

from openclaw_actors.channels.http.browsers import BrowserRule
from openclaw_actors.channels.origin import OriginRule


def rule(*, token: bool = False, bind: str = "127.0.0.1", allowed: tuple[str, ...] = ()) -> BrowserRule:
    origins = OriginRule(allowed=allowed, http_port=18790, token_required=token)
    return BrowserRule(origins, bind_address=bind, allowed_origins=allowed, token_required=token)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:18790", "127.8.8.8", "localhost:18790", "LOCALHOST", "[::1]:18790", "app.localhost:1"],
)
def test_names_of_this_machine_pass(host: str) -> None:
    assert rule().host_passes(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:18790",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5:18790",
        "0.0.0.0",
        "user@127.0.0.1",
        "127.0.0.1:x",
        "notlocalhost",
    ],
)
def test_a_name_that_was_pointed_here_does_not_pass(host: str | None) -> None:
    assert not rule().host_passes(host)
    assert rule(token=True).host_passes(host), "who shows a token may call us what they like"


def test_the_bind_address_and_the_hosts_of_allowed_origins_pass() -> None:
    mine = rule(bind="gateway.lan", allowed=("https://chat.example", "http://[fd00::1]:8080"))
    assert mine.host_passes("gateway.lan:18790")
    assert mine.host_passes("chat.example")
    assert mine.host_passes("[fd00::1]:18790")
    assert not mine.host_passes("other.example")


def test_the_own_origin_passes_and_a_foreign_one_does_not() -> None:
    here = "127.0.0.1:18790"
    assert rule().origin_passes("http://127.0.0.1:18790", here, "same-origin")
    assert not rule().origin_passes("http://127.0.0.1:8000", here, "same-site")
    assert not rule().origin_passes("https://evil.example", here, "cross-site")
    assert not rule().origin_passes("null", here, "cross-site")
    assert rule(allowed=("https://chat.example",)).origin_passes("https://chat.example", here, "cross-site")


def test_without_an_origin_the_browser_still_says_whose_page_it_is() -> None:
    here = "127.0.0.1:18790"
    assert rule().origin_passes(None, here, None), "no browser"
    assert rule().origin_passes(None, here, "none"), "typed by the person"
    assert rule().origin_passes(None, here, "same-origin")
    assert not rule().origin_passes(None, here, "cross-site")
    assert not rule().origin_passes(None, here, "same-site"), "another port of this machine"
