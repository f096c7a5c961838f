"""What a person tells the gateway itself is done at once, once, and no model hears of it."""

from __future__ import annotations

import pytest

from openclaw_actors.agent.prompt import build_prompt
from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.answering import usage_text
from openclaw_actors.core.commands import BUSY_MODES, Command, parse_command, stops
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.records import HistoryRestored, TurnBegan, UserSaid
from openclaw_actors.messages import MessageAccepted, TurnDone, Usage
from tests.unit.core.session_world import World, delivery


def ends(world: World) -> dict[str, tuple[str, str]]:
    return {end.message_id: (end.status, end.text) for end in world.ends()}


def answer_of(world: World, name: str) -> str:
    (text,) = [done.text for done in world.done() if done.message_id == name]
    return text


def running(world: World, name: str = "m1") -> None:
    """A turn whose model call runs."""
    world.deliver(delivery(name))
    world.store_writes_all()
    assert world.call is not None


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/stop", Command("stop", "")),
        ("  /STOP \n", Command("stop", "")),
        ("/branch before lunch", Command("branch", "before lunch")),
        ("/stopp", None),
        ("stop", None),
        ("please /stop", None),
        ("/etc/passwd", None),
        ("/demo recall", None),
        ("/", None),
        ("", None),
        ("/stop\nthe music", None),
    ],
)
def test_what_is_a_command(text: str, command: Command | None) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "ends"), [("/stop", True), ("/new", True), ("/undo", False), ("stop", False)]
)
def test_what_ends_the_running_turn(text: str, ends: bool) -> None:
    assert stops(text) is ends


def test_a_command_is_answered_while_a_turn_runs_and_no_model_sees_it() -> None:
    world = World()
    running(world)
    world.deliver(delivery("c1", "/status"))
    world.store_writes_all()
    assert "An answer is being given; 0 messages wait." in answer_of(world, "c1")
    assert world.call is not None
    world.deliver(delivery("m2"))
    world.settle()
    world.check_all_answered()
    assert [message.text for message in build_prompt(world.stored()) if message.role == "user"] == [
        "text of m1",
        "text of m2",
    ]
    assert world.stored().turns == 2


def test_help_names_every_command() -> None:
    world = World()
    world.deliver(delivery("c1", "/help"))
    world.settle()
    text = answer_of(world, "c1")
    for name in ("help", "status", "new", "reset", "stop", "model", "usage", "queue", "undo", "branch"):
        assert f"/{name}" in text


def test_stop_in_words_ends_the_turn_and_leaves_what_waits() -> None:
    world = World()
    running(world)
    world.deliver(delivery("m2"))
    world.store_writes_all()
    world.model_says("half an ")
    world.deliver(delivery("c1", "/stop"))
    world.store_writes_all()
    assert ends(world)["m1"] == ("stopped", "half an ")
    assert ends(world)["c1"] == ("completed", "Stopped.")
    world.settle()
    assert ends(world)["m2"] == ("completed", "the answer")


def test_stop_of_nothing_says_so() -> None:
    world = World()
    world.deliver(delivery("c1", "/stop"))
    world.settle()
    assert answer_of(world, "c1") == "There is nothing to stop."


def test_a_repeated_stop_ends_no_other_turn() -> None:
    world = World()
    running(world)
    world.deliver(delivery("m2"))
    world.deliver(delivery("c1", "/stop"))
    world.store_writes_all()
    assert world.call is not None
    world.deliver(delivery("c1", "/stop", hand_over=2))
    world.settle()
    assert ends(world)["m2"] == ("completed", "the answer")
    world.check_all_answered()


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_stop_survives_a_crash(after: int) -> None:
    world = World()
    running(world)
    world.deliver(delivery("m2"))
    world.store_writes_all()
    world.deliver(delivery("c1", "/stop"))
    for _ in range(after):
        if world.write is not None:
            world.store_writes(tells=False)
            world.open()
    world.open()
    world.settle()
    world.check_all_answered()
    assert ends(world)["m1"][0] == "stopped"
    assert ends(world)["m2"] == ("completed", "the answer")


def test_a_stop_ends_the_turn_although_nobody_can_be_told() -> None:
    world = World()
    running(world)
    world.deliver(delivery("c1", "/stop"))
    world.store_refuses()
    assert (
        world.refused["d-c1-1"].code == "persistence_failed" if "d-c1-1" in world.refused else world.refused
    )
    world.settle()
    assert ends(world)["m1"][0] == "stopped"


def test_a_stop_after_the_router_had_to_kill_the_session_is_no_nothing() -> None:
    world = World()
    running(world)
    world.stop()
    world.crash()
    world.deliver(delivery("c1", "/stop"))
    world.settle()
    assert answer_of(world, "c1") == "Stopped."


def test_neither_budget_nor_rate_nor_a_full_queue_is_in_the_way_of_a_command() -> None:
    world = World(SessionLimits(max_pending=1, token_budget=3, rate_limit_per_minute=3))
    running(world)
    world.deliver(delivery("m2"))
    world.store_writes_all()
    world.deliver(delivery("m3"))
    assert [refused.code for refused in world.refused.values()] == ["busy"]
    world.deliver(delivery("c1", "/stop"))
    world.settle()
    world.deliver(delivery("m4"))
    world.settle()
    assert [refused.code for refused in world.refused.values()][1:] == ["budget"]
    world.deliver(delivery("c2", "/usage"))
    world.settle()
    assert answer_of(world, "c2") == "did usage"


def test_a_new_conversation_ends_the_turn_and_nothing_begins_before_it_is_new() -> None:
    world = World()
    running(world)
    world.deliver(delivery("m2"))
    world.store_writes_all()
    world.deliver(delivery("c1", "/new"))
    world.store_writes_all()
    assert ends(world)["m1"][0] == "stopped"
    assert [each.command.name for each in world.commands] == ["new"]
    assert world.call is None, "the next turn sees the old conversation"
    world.command_ends(HistoryRestored(number=0, at=0.0, branch="", window=()))
    world.settle()
    world.check_all_answered()
    assert [turn.user for turn in world.stored().window] == ["text of m2"]


@pytest.mark.parametrize("text", ["/new", "/undo", "/branch x"])
def test_a_command_under_way_is_taken_up_after_a_crash_and_ends_once(text: str) -> None:
    world = World()
    running(world)
    world.deliver(delivery("m2"))
    world.deliver(delivery("c1", text))
    world.store_writes_all()
    world.crash()
    world.settle()
    world.check_all_answered()
    assert ends(world)["c1"][0] == "completed"
    assert ends(world)["m2"] == ("completed", "the answer")


def test_a_command_of_a_later_version_is_given_up_not_asked_of_the_model() -> None:
    world = World()
    world.journal.append(
        UserSaid(
            number=1,
            at=1.0,
            seq=1,
            message_id="c1",
            text="/telepathy",
            queued=0,
            delivery_id="d",
            channel="websocket",
            correlation_id="c",
            command=True,
        )
    )
    world.open()
    world.settle()
    assert ends(world)["c1"][0] == "failed"


def test_the_model_of_a_conversation_is_remembered() -> None:
    world = World()
    for name, text in (("c1", "/model"), ("c2", "/model gpt-9"), ("c3", "/model"), ("c4", "/model a b")):
        world.deliver(delivery(name, text))
        world.settle()
    assert answer_of(world, "c1") == "model: as configured"
    assert answer_of(world, "c3") == "model: gpt-9"
    assert "Nothing was changed" in answer_of(world, "c4")
    world.crash()
    assert world.core.state.settings == {"model": "gpt-9"}
    world.deliver(delivery("c5", "/model default"))
    world.settle()
    assert world.core.state.settings == {}


def test_a_model_that_is_not_configured_is_said_to_be_tried_or_refused() -> None:
    world = World()
    world.deliver(delivery("c1", "/model nobody"))
    world.settle()
    assert "is tried from now on" in answer_of(world, "c1")
    world = World(SessionLimits(models=("main", "small")))
    for name, text in (("c1", "/model nobody"), ("c2", "/model")):
        world.deliver(delivery(name, text))
        world.settle()
    assert answer_of(world, "c1") == "model: 'nobody' is none of main, small, default. Nothing was changed."
    assert answer_of(world, "c2") == "model: as configured; allowed are main, small, default"
    assert world.core.state.settings == {}
    world.deliver(delivery("c3", "/model small"))
    world.settle()
    assert answer_of(world, "c3") == "small answers from now on."
    assert world.core.state.settings == {"model": "small"}


def test_after_other_limits_came_into_force_a_command_is_answered_by_them() -> None:
    world = World(SessionLimits(models=("small",)))
    world.core.use(SessionLimits(models=("large",), busy_mode="steer"))
    for name, text in (("c1", "/model small"), ("c2", "/model large"), ("c3", "/status")):
        world.deliver(delivery(name, text))
        world.store_writes_all()
    assert "large" in answer_of(world, "c1")
    assert dict(world.stored().settings)["model"] == "large"
    assert "queue: steer" in answer_of(world, "c3")


def test_the_end_of_a_turn_says_which_model_answered_unless_one_was_chosen() -> None:
    world = World()
    running(world)
    world.model_answers("", "a", by="main")
    world.store_writes_all()
    world.tool_ends()
    world.store_writes_all()
    world.model_answers("done", by="stand-in")
    world.store_writes_all()
    world.deliver(delivery("c1", "/model small"))
    world.settle()
    running(world, "m2")
    world.model_answers("done", by="other")
    world.store_writes_all()
    assert [end.model for end in world.ends()] == ["stand-in", "", ""]


# Messages that come while a turn runs


def receipt(world: World, name: str) -> MessageAccepted:
    (found,) = [each for each in world.said if isinstance(each, MessageAccepted) and each.message_id == name]
    return found


def test_the_mode_of_a_conversation_can_be_asked_and_changed() -> None:
    world = World(SessionLimits(busy_mode="collect", busy_modes={"sms": "queue"}))
    for name, text in (("c1", "/queue"), ("c2", "/queue steer"), ("c3", "/queue"), ("c4", "/queue quick")):
        world.deliver(delivery(name, text))
        world.settle()
    assert answer_of(world, "c1").startswith("queue: collect;")
    assert answer_of(world, "c3").startswith("queue: steer;")
    assert "none of queue, collect, interrupt, steer, default" in answer_of(world, "c4")


def test_a_channel_may_have_a_mode_of_its_own() -> None:
    world = World(SessionLimits(busy_modes={"websocket": "interrupt"}))
    world.deliver(delivery("c1", "/queue"))
    world.settle()
    assert answer_of(world, "c1").startswith("queue: interrupt;")


@pytest.mark.parametrize("mode", BUSY_MODES)
def test_the_receipt_says_what_becomes_of_a_message(mode: str) -> None:
    world = World(SessionLimits(busy_mode=mode))  # type: ignore[arg-type]
    running(world)
    world.deliver(delivery("m2"))
    world.settle()
    world.check_all_answered()
    assert receipt(world, "m1").busy == ""
    assert receipt(world, "m2").busy == ("" if mode == "queue" else mode)


def test_collected_messages_are_answered_together_and_each_has_its_end() -> None:
    world = World(SessionLimits(busy_mode="collect"))
    running(world)
    for name in ("m2", "m3", "m4"):
        world.deliver(delivery(name))
        world.store_writes_all()
    world.model_answers("first")
    world.store_writes_all()
    asked = build_prompt(world.stored())[-1].text
    assert asked == "text of m2\n\ntext of m3\n\ntext of m4"
    world.settle()
    world.check_all_answered()
    assert ends(world)["m4"] == ("completed", "the answer")
    assert {done.message_id: done.code for done in world.done()} == {
        "m1": None,
        "m2": "collected",
        "m3": "collected",
        "m4": None,
    }
    assert [turn.user for turn in world.stored().window] == ["text of m1", asked]


def test_an_interrupting_message_ends_the_turn_and_is_answered_next() -> None:
    world = World(SessionLimits(busy_mode="interrupt"))
    running(world)
    world.model_says("half an ")
    world.deliver(delivery("m2"))
    world.store_writes_all()
    assert ends(world)["m1"] == ("stopped", "half an ")
    world.settle()
    assert ends(world)["m2"] == ("completed", "the answer")
    world.check_all_answered()


def test_a_message_that_could_not_be_stored_interrupts_nothing() -> None:
    world = World(SessionLimits(busy_mode="interrupt"))
    running(world)
    world.deliver(delivery("m2"))
    world.store_refuses()
    assert world.call is not None
    world.model_answers("the whole answer")
    world.settle()
    assert ends(world)["m1"] == ("completed", "the whole answer")


def test_a_steering_message_reaches_the_turn_between_two_steps() -> None:
    world = World(SessionLimits(busy_mode="steer"))
    running(world)
    world.model_answers("let me look", "a")
    world.store_writes_all()
    world.deliver(delivery("m2"))
    world.store_writes_all()
    assert world.call is None
    world.tool_ends()
    world.store_writes_all()
    assert [(message.role, message.text) for message in build_prompt(world.stored())[-2:]] == [
        ("tool", "result"),
        ("user", "text of m2"),
    ]
    assert world.call is not None
    world.settle()
    world.check_all_answered()
    assert [(done.message_id, done.code) for done in world.done()] == [("m2", "steered"), ("m1", None)]
    assert len(world.stored().window) == 1


def test_a_steering_message_without_a_step_to_come_waits_for_its_turn() -> None:
    world = World(SessionLimits(busy_mode="steer"))
    running(world)
    world.deliver(delivery("m2"))
    world.settle()
    assert ends(world)["m2"] == ("completed", "the answer")
    assert [begun.message_id for begun in world.journal if isinstance(begun, TurnBegan)] == ["m1", "m2"]


def test_what_was_steered_stands_in_later_prompts_where_it_was_said() -> None:
    world = World(SessionLimits(busy_mode="steer"))
    running(world)
    world.model_answers("", "a")
    world.store_writes_all()
    world.deliver(delivery("m2"))
    world.settle()
    world.deliver(delivery("m3"))
    world.settle()
    roles = [message.role for message in build_prompt(world.stored())]
    assert roles == ["system", "user", "assistant", "tool", "user", "assistant", "user", "assistant"]
    assert isinstance(world.done()[0], TurnDone)


def test_what_was_used_is_told_with_what_may_be() -> None:
    state = Conversation(
        key="websocket:local:main", turns=2, usage=Usage(input_tokens=1_000, output_tokens=10)
    )
    limits = SessionLimits(token_budget=5_000, tokens_per_day=9_000, turn_token_budget=700)
    assert usage_text(state, limits, 2_000) == (
        "This conversation has used 1,010 of 5,000 tokens in 2 turns (1,000 in, 10 out).\n"
        "Today you have used 2,000 of 9,000 in all conversations.\n"
        "One turn may use 700."
    )
    assert usage_text(state, SessionLimits(turn_token_budget=0), 5) == (
        "This conversation has used 1,010 tokens in 2 turns (1,000 in, 10 out).\n"
        "Today you have used 5 in all conversations."
    )
