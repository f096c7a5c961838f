"""Tests whose decisions about tools reach a session, and that none is lost with a process of ours."""

from __future__ import annotations

from openclaw_actors.core.drafts import approval_mark
from openclaw_actors.messages import ApprovalOutcome, DecideApproval, SessionLost
from tests.unit.channels.world import World

KEY = "websocket:local:s"
ID = f"{approval_mark(KEY)}-7"


def decide(world: World, approval_id: str = ID, **more: object) -> None:
    world.say({"type": "tool_approval_decision", "approvalId": approval_id, "approved": True, **more})


def outcome(status: str, text: str = "so it is") -> ApprovalOutcome:
    return ApprovalOutcome(
        session=KEY,
        approval_id=ID,
        status=status,  # type: ignore[arg-type]
        text=text,
        channel="websocket",
        connection="c",
    )


def test_a_decision_goes_to_the_session_that_the_connection_follows() -> None:
    world = World()
    world.connect()
    world.resume(0)
    decide(world)
    [sent] = world.of(DecideApproval)
    assert (sent.session, sent.approval_id, sent.approved, sent.by) == (KEY, ID, True, "websocket")


def test_what_is_not_followed_and_not_named_is_unknown() -> None:
    world = World()
    client = world.connect()
    decide(world)
    assert world.of(DecideApproval) == []
    assert client.events[-1]["code"] == "bad_field"
    decide(world, sessionId="s")
    assert [sent.session for sent in world.of(DecideApproval)] == [KEY]
    decide(world, sessionId="another")
    assert client.events[-1]["code"] == "bad_field"


def test_another_principal_s_session_is_unknown_however_it_is_named() -> None:
    world = World()
    client = world.connect(principal="eve")
    world.resume(0)
    decide(world, sessionId="s")
    assert world.of(DecideApproval) == []
    assert client.events[-1]["code"] == "bad_field"


def test_a_decision_is_sent_again_until_its_outcome_is_known() -> None:
    world = World()
    world.connect()
    world.resume(0)
    decide(world)
    world.core.session_lost(SessionLost(session=KEY, incarnation=1, reason="x"), world.now)
    world.core.router_replaced(world.now)
    assert len(world.take(DecideApproval)) == 3
    world.core.approval_outcome(outcome("decided"))
    world.core.router_replaced(world.now)
    assert world.take(DecideApproval) == []


def test_what_became_of_a_decision_is_told_where_the_events_do_not_show_it() -> None:
    world = World()
    client = world.connect()
    world.resume(0)
    for status in ("decided", "already", "unknown"):
        decide(world)
        world.core.approval_outcome(outcome(status))
    told = [(event["type"], event["code"], event["text"]) for event in client.events]
    assert told == [("notice", "already_decided", "so it is"), ("error", "bad_field", "so it is")]


def test_a_decision_that_nobody_takes_in_time_is_told_so() -> None:
    world = World()
    client = world.connect()
    world.resume(0)
    decide(world)
    world.core.tick(world.now + 11)
    assert client.events[-1]["code"] == "not_accepted"
    world.core.router_replaced(world.now + 12)
    assert len(world.take(DecideApproval)) == 1, "it was given up"
