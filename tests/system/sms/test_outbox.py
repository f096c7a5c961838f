"""Replies by SMS as the person with the telephone sees them: each once, in order, whatever dies meanwhile."""

from __future__ import annotations

import pytest

from openclaw_actors.messages import SetDoNotText
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.sms.fake_twilio import FakeTwilio
from tests.system.sms.people import ask_actor, entries, outbox, settings, write

A, B, C = "+15550001111", "+15550002222", "+15550003333"


def start(make_gateway: GatewayFactory, twilio: FakeTwilio, **changes: object) -> Gateway:
    return make_gateway(config=settings(twilio, **changes)).start()


def settled(gateway: Gateway) -> None:
    """Nothing is under way any more."""
    wait_until(
        lambda: all(state in ("dead", "ambiguous") for _, state in entries(gateway)), what="all is settled"
    )


def test_replies_arrive_once_in_order_and_divided(make_gateway: GatewayFactory, twilio: FakeTwilio) -> None:
    gateway = start(make_gateway, twilio)
    long = " ".join(f"word-{number}" for number in range(400))
    write(gateway, A, "hello", long, "after")
    bodies = twilio.wait_for_bodies(A, 5)
    assert [len(body) <= 1_600 for body in bodies] == [True] * 5
    assert bodies[0] == "echo: hello"
    assert " ".join(bodies[1:4]) == f"echo: {long}"
    assert bodies[4] == "echo: after"
    # Only now: the failure is everybody's next call.
    write(gateway, B, "/demo fail 1", "hello")
    apology = twilio.wait_for_bodies(B, 2)[1]
    assert apology.startswith("Sorry, I'm having trouble reaching my AI provider")
    settled(gateway)
    counters = gateway.status()["counters"]
    assert (counters["sms_sent_total"], counters["sms_dead_letters"]) == (7, 0)
    assert gateway.nodes()["sms"]["doing"] == "idle"
    assert gateway.stop() == 0
    assert twilio.bodies(A) == bodies


def test_what_twilio_does_not_take_is_tried_again_or_set_aside(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = start(make_gateway, twilio)
    twilio.behave({"status": 429, "code": 20429, "retry_after": 0.3}, "take and fail", {"status": 500})
    write(gateway, A, "one", "two", "three")
    assert twilio.wait_for_bodies(A, 3) == ["echo: one", "echo: two", "echo: three"]
    twilio.behave(opted_out=[B])
    write(gateway, B, "hello")
    write(gateway, "+0", "wrong number")
    wait_until(lambda: entries(gateway) == [(f"sms:{B}/3", "dead"), ("sms:+0/3", "dead")] or None)
    twilio.behave(opted_out=[])
    write(gateway, B, "Twilio said that I said STOP")
    settled(gateway)
    assert twilio.bodies(B) == []
    # A person knows better than Twilio; of nothing else is a dead letter tried again.
    ask_actor(gateway, "persistence", SetDoNotText(phone=B, do_not_text=False, at=2e9))
    assert outbox(gateway, "retry", f"sms:{B}/3") == {"count": 1, "sessions": [f"sms:{B}"]}
    assert twilio.wait_for_bodies(B, 1) == ["echo: hello"]
    assert outbox(gateway, "purge", "--all")["count"] == 1
    assert entries(gateway) == []
    result = gateway.cli("outbox", "purge", "sms:+0/3")
    assert (result.returncode, result.stderr.strip()) == (
        1,
        "Error: nothing of sms:+0/3 is set aside in the outbox",
    )
    assert gateway.stop() == 0


def test_nobody_is_texted_against_their_word(make_gateway: GatewayFactory, twilio: FakeTwilio) -> None:
    gateway = start(make_gateway, twilio)
    ask_actor(gateway, "persistence", SetDoNotText(phone=A, do_not_text=True, at=1e9))
    write(gateway, A, "hello")
    write(gateway, B, "hello")
    twilio.wait_for_bodies(B, 1)
    wait_until(lambda: gateway.status()["counters"]["sms_suppressed_total"] == 1)
    assert (twilio.bodies(A), entries(gateway)) == ([], [])
    assert gateway.stop() == 0


@pytest.mark.parametrize("victim", ["sms", "persistence", "router", "everything"])
def test_a_death_while_a_message_is_on_its_way_costs_no_reply_and_doubles_none(
    make_gateway: GatewayFactory, twilio: FakeTwilio, victim: str
) -> None:
    gateway = start(make_gateway, twilio)
    long = " ".join(f"word-{number}" for number in range(400))
    for mood in ("slow", "take and hang"):
        twilio.behave("take", mood)
        before = len(twilio.bodies(A))
        write(gateway, A, long, mood)
        twilio.wait_for(lambda seen: seen["hanging"], "a message is on its way")
        if victim == "everything":
            gateway.kill_all()
            gateway.start()
        else:
            gateway.kill(victim)
        bodies = twilio.wait_for_bodies(A, before + 4)[before:]
        assert " ".join(bodies) == f"echo: {long} echo: {mood}"
    settled(gateway)
    assert entries(gateway) == []
    assert gateway.stop() == 0
    assert len(twilio.bodies(A)) == 8


def test_replies_wait_for_a_twilio_that_is_away_across_deaths_and_restarts(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = start(make_gateway, twilio)
    twilio.stop()
    write(gateway, A, "one", "two")
    write(gateway, B, "three")
    wait_until(lambda: {state for _, state in entries(gateway)} == {"retrying"} or None)
    gateway.kill("sms")
    write(gateway, C, "four")
    wait_until(lambda: len(entries(gateway)) == 3)
    assert gateway.stop() == 0
    gateway.restart()
    twilio.start()
    assert twilio.wait_for_bodies(A, 2) == ["echo: one", "echo: two"]
    assert twilio.wait_for_bodies(B, 1) == ["echo: three"]
    assert twilio.wait_for_bodies(C, 1) == ["echo: four"]
    settled(gateway)
    assert gateway.stop() == 0


def test_what_may_have_been_sent_is_listed_and_a_person_decides(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = start(make_gateway, twilio)
    twilio.behave("reset", "take and reset", "hang")
    write(gateway, A, "lost", "taken", "hung", "after")
    assert twilio.wait_for_bodies(A, 2) == ["echo: taken", "echo: after"]
    settled(gateway)
    (lost, hung), states = zip(*entries(gateway), strict=True)
    assert states == ("ambiguous", "ambiguous")
    listed = gateway.cli("outbox", "list", "--state", "ambiguous").stdout
    assert lost in listed
    assert "the list does not show it" in listed
    assert outbox(gateway, "purge", hung)["count"] == 1
    assert gateway.cli("outbox", "retry", "--all").stdout == "1 entry tried again\n"
    assert twilio.wait_for_bodies(A, 3)[2] == "(This may be a repetition.) echo: lost"
    settled(gateway)
    assert entries(gateway) == []
    assert gateway.stop() == 0


def test_an_orderly_end_waits_for_what_is_on_its_way(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = start(make_gateway, twilio)
    twilio.behave("slow")
    write(gateway, A, "hello")
    twilio.wait_for(lambda seen: seen["hanging"], "a message is on its way")
    assert gateway.stop() == 0
    assert twilio.bodies(A) == ["echo: hello"]
    looks = twilio.seen()["looks"]
    gateway.restart()
    settled(gateway)
    assert entries(gateway) == []
    assert twilio.seen()["looks"] == looks  # nothing was in doubt
    assert gateway.stop() == 0


def test_without_sms_there_is_no_such_actor_and_the_outbox_can_be_seen(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()
    assert "sms" not in gateway.nodes()
    assert outbox(gateway, "list") == {"entries": [], "total": 0, "counts": {}}
    assert gateway.cli("outbox", "list").stdout == "nothing waits\n"
    assert gateway.cli("outbox", "retry").returncode == 2
    assert gateway.cli("outbox", "retry", "sms:+1/x").returncode == 2
    assert gateway.stop() == 0


def test_restored_backup_sends_nothing_again_that_left_since(
    make_gateway: GatewayFactory, twilio: FakeTwilio
) -> None:
    gateway = start(make_gateway, twilio)
    backup = str(gateway.directory / "backup.tar")
    twilio.stop()
    write(gateway, A, "one", "two")
    wait_until(lambda: {state for _, state in entries(gateway)} == {"retrying"} or None)
    assert gateway.cli("backup", backup).returncode == 0
    twilio.start()
    assert twilio.wait_for_bodies(A, 2) == ["echo: one", "echo: two"]
    settled(gateway)
    gateway.kill_all()
    done = gateway.cli("restore", backup, "--force")
    assert (done.returncode, "may have been sent since" in done.stdout) == (0, True)
    gateway.restart()
    write(gateway, B, "after")
    twilio.wait_for_bodies(B, 1)
    settled(gateway)
    assert entries(gateway) == [], "Twilio's list shows both"
    assert twilio.bodies(A) == ["echo: one", "echo: two"]
    assert gateway.stop() == 0
