"""Who may come in: tokens, origins, addresses behind proxies, how many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.channels.address import ClientAddresses
from openclaw_actors.channels.auth import Principals, shown_token
from openclaw_actors.channels.limits import ConnectionLimits
from openclaw_actors.channels.origin import OriginRule
from openclaw_actors.channels.websocket.handshake import Doorman, Page, Refusal, RequestHead, Welcome
from openclaw_actors.config.sections import SecurityConfig

UPGRADE = [("Host", "127.0.0.1:18789"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]


def decide(
    *headers: tuple[str, str],
    target: str = "/ws",
    method: str = "GET",
    tokens: dict[str, str] | None = None,
    **security: object,
) -> Welcome | Page | Refusal:
    doorman = Doorman(
        principals=Principals(tokens or {}),
        security=SecurityConfig(**security),  # type: ignore[arg-type]
        http_port=18790,
    )
    return doorman.decide(RequestHead(method, target, [*UPGRADE, *headers], "127.0.0.1"))


def test_an_empty_token_never_counts() -> None:
    with pytest.raises(ValueError, match="empty"):
        Principals({"default": ""})
    principals = Principals({"default": "x"})
    assert principals.identify("") is None
    assert principals.identify(None) is None
    assert principals.identify("x ") is None
    assert principals.identify("x") == "default"
    assert Principals({}).identify(None) == "local"


@given(st.text(), st.text())
def test_no_token_but_the_right_one(token: str, shown: str) -> None:
    if token:
        assert (Principals({"a": token}).identify(shown) == "a") == (shown == token)


def test_a_header_wins_over_the_subprotocol_and_the_query() -> None:
    def shown(
        authorization: str | None, subprotocols: list[str], query: str | None, *, allowed: bool
    ) -> str | None:
        return shown_token(
            authorization=authorization, subprotocols=subprotocols, query=query, query_allowed=allowed
        )

    offered = ["chat", "openclaw.token.b"]
    assert shown("Bearer a", offered, "c", allowed=True) == "a"
    assert shown("Basic a", offered, "c", allowed=True) == ""
    assert shown(None, offered, "c", allowed=True) == "b"
    assert shown(None, [], "c", allowed=True) == "c"
    assert shown(None, [], "c", allowed=False) is None


def test_no_refusal_shows_the_token() -> None:
    for header in (("Authorization", "Bearer hunter2"), ("Sec-WebSocket-Protocol", "openclaw.token.hunter2")):
        refusal = decide(header, tokens={"a": "secret"}, target="/ws?token=hunter2")
        assert isinstance(refusal, Refusal)
        assert refusal.status == 401
        assert "hunter2" not in refusal.text


@pytest.mark.parametrize(
    ("origin", "host", "token", "passes"),
    [
        (None, "x:1", False, True),
        ("http://127.0.0.1:18789", "127.0.0.1:18789", False, True),
        ("http://127.0.0.1:18790", "127.0.0.1:18789", False, True),
        ("http://LOCALHOST:18789", "localhost:18789", False, True),
        ("http://[::1]:18789", "[::1]:18789", False, True),
        ("http://localhost:18789", "127.0.0.1:18789", False, False),
        ("http://127.0.0.1:3000", "127.0.0.1:18789", False, False),
        ("http://evil.example:18789", "evil.example:18789", False, False),
        ("https://gateway.example", "gateway.example", True, True),
        ("https://listed.example", "127.0.0.1:18789", False, True),
        ("https://listed.example.evil", "127.0.0.1:18789", False, False),
        ("null", "127.0.0.1:18789", False, False),
        ("", "127.0.0.1:18789", False, False),
        ("http://127.0.0.1:18789", None, False, False),
        ("http://user@127.0.0.1:18789", "127.0.0.1:18789", False, False),
        ("http://127.0.0.1:99999999", "127.0.0.1:18789", False, False),
    ],
)
def test_which_pages_may_connect(origin: str | None, host: str | None, token: bool, passes: bool) -> None:
    rule = OriginRule(allowed=["https://listed.example"], http_port=18790, token_required=token)
    assert rule.passes(origin, host) is passes


@given(st.text(), st.text())
def test_any_origin_is_judged(origin: str, host: str) -> None:
    assert OriginRule(allowed=[], http_port=1, token_required=True).passes(origin, host) in (True, False)


@given(st.text(alphabet="/wshealtmric?token=%&;#ü\0"), st.sampled_from(["GET", "POST", ""]))
def test_any_target_gets_a_decision(target: str, method: str) -> None:
    assert decide(target=target, method=method) is not None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1", "10.0.0.7"], "198.51.100.1"),
        ("127.0.0.1", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("unknown", ["198.51.100.1"], "unknown"),
    ],
)
def test_which_address_a_client_has(peer: str, forwarded: list[str], address: str) -> None:
    addresses = ClientAddresses(trust_forwarded=True, known_proxies=["10.0.0.0/8"])
    assert addresses.of(peer, forwarded) == address
    assert ClientAddresses(trust_forwarded=False).of("127.0.0.1", forwarded) == "127.0.0.1"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"))))
def test_the_limits_hold_and_addresses_are_forgotten(steps: list[tuple[bool, str]]) -> None:
    limits = ConnectionLimits(max_total=5, max_per_address=3)
    present = {"a": 0, "b": 0, "c": 0}
    for comes, address in steps:
        if comes:
            room = sum(present.values()) < 5 and present[address] < 3
            assert limits.admit(address) is room
            present[address] += room
        elif present[address]:
            limits.release(address)
            present[address] -= 1
    assert limits.total == sum(present.values())
    assert limits.addresses == sum(count > 0 for count in present.values())


def test_drain_comes_before_the_token() -> None:
    doorman = Doorman(principals=Principals({"a": "t"}), security=SecurityConfig(), http_port=1)
    doorman.draining = True
    refusal = doorman.decide(RequestHead("GET", "/ws", UPGRADE, "127.0.0.1"))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 503
    assert doorman.decide(RequestHead("GET", "/health", UPGRADE, "127.0.0.1")) == Page("health")


def test_who_could_not_come_in_again_is_known_when_tokens_change() -> None:
    nobody, before = Principals({}), Principals({"alice": "a", "bob": "b", "carl": "c"})
    after = Principals({"alice": "a", "bob": "other"})
    assert [after.still_know(name, before) for name in ("alice", "bob", "carl")] == [True, False, False]
    assert not after.still_know("local", nobody)
    assert nobody.still_know("local", nobody)
    assert not nobody.still_know("alice", before)
