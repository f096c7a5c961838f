"""Replies are sent once and in order, whatever the carrier, the list, the disk and death do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.core.outbox_lane import AskContact, OutboxLimits
from openclaw_actors.core.outbox_steps import LABEL
from tests.unit.core.outbox_world import LIMITS, S, World

OTHER = "sms:+15557654321"
TEXT = "".join(chr(ord("a") + index % 26) for index in range(150))
"""Three parts."""


def test_a_reply_is_noted_sent_and_noted() -> None:
    world = World()
    world.reply(3, "hello")
    world.run()
    assert world.bodies() == ["hello"]
    assert [(step.state, step.done) for step in world.steps] == [("prepared", False), ("sent", True)]
    assert world.core.lanes == {}


def test_parts_and_replies_leave_in_order() -> None:
    world = World()
    world.reply(3, TEXT)
    world.reply(6, "next")
    world.run()
    assert "".join(world.bodies()) == TEXT + "next"
    assert len(world.bodies()) == 4


def test_a_reply_that_is_far_too_long_is_cut_off_visibly() -> None:
    world = World()
    world.reply(3, "x" * 1_000)
    world.run()
    assert [len(body) for body in world.bodies()] == [60] * 5
    assert world.bodies()[-1].endswith("x …")
    assert world.state(3) == "sent done"


def test_a_person_who_said_stop_is_sent_nothing() -> None:
    world = World()
    world.stopped.add(S)
    world.reply(3, "hello")
    world.run()
    assert world.bodies() == []
    assert world.state(3) == "suppressed done"


def test_stop_between_two_parts_holds_for_the_second() -> None:
    world = World()
    world.reply(3, TEXT)
    while not world.taken:
        world.step()
    world.stopped.add(S)
    world.run()
    assert len(world.bodies()) == 1
    assert world.state(3) == "suppressed done"


def test_who_may_have_said_stop_is_sent_nothing_until_that_is_known() -> None:
    world = World()
    world.uncertain.add(S)
    world.reply(3, "hello")
    world.run(for_s=50)
    assert (world.bodies(), world.state(3)) == ([], "waiting")
    world.uncertain.clear()
    world.run(for_s=10)
    assert world.bodies() == ["hello"]


def test_who_may_have_said_stop_for_good_becomes_a_dead_letter() -> None:
    world = World()
    world.uncertain.add(S)
    world.reply(3, "hello")
    world.run(for_s=200)
    assert (world.bodies(), world.state(3)) == ([], "dead done")


@pytest.mark.parametrize("mood", ["is away", "is busy"])
def test_what_was_surely_not_taken_is_tried_again_with_growing_pauses(mood: str) -> None:
    world = World()
    world.moods.extend([mood] * 4)
    world.reply(3, "hello")
    world.run(for_s=60)
    assert world.bodies() == ["hello"]
    pauses = [b - a for (a, _), (b, _) in zip(world.posts, world.posts[1:], strict=False)]
    assert all(pause <= 8 * 1.2 for pause in pauses)
    assert pauses[-1] > pauses[0] if mood == "is away" else min(pauses) >= 5.0
    assert world.core.counters["sms_retries_total"] == 4


def test_what_is_not_taken_for_hours_becomes_a_dead_letter_across_restarts_too() -> None:
    world = World()
    world.moods.extend(["is away"] * 1_000)
    world.reply(3, "hello")
    for _ in range(3):
        world.run(for_s=30)
        world.restart()
    assert world.state(3) == "retrying"
    world.run(for_s=30)
    assert world.state(3) == "dead done"
    world.moods.clear()
    world.again(3)
    world.run(for_s=10)
    assert world.bodies() == ["hello"]


def test_while_the_carrier_is_away_others_do_not_knock_either() -> None:
    world = World()
    world.moods.extend(["is away"] * 3)
    world.reply(3, "hello")
    world.run(for_s=0.5)
    for number in range(10):
        world.reply(3, "hello", f"sms:+{number}")
    world.run(for_s=0.2)
    assert len(world.posts) == 1
    world.run(for_s=60)
    assert len(world.taken) == 11


@pytest.mark.parametrize("mood", ["refuses", "says stop"])
def test_what_will_never_be_taken_is_a_dead_letter_at_once_and_the_next_reply_goes_on(mood: str) -> None:
    world = World()
    world.moods.append(mood)
    world.reply(3, TEXT)
    world.reply(6, "next")
    world.run()
    assert (world.state(3), world.bodies()) == ("dead done", ["next"])
    assert world.opted_out == ([S] if mood == "says stop" else [])


@pytest.mark.parametrize("mood", ["takes in silence", "takes and fails"])
def test_what_the_list_shows_is_not_sent_again(mood: str) -> None:
    world = World()
    world.moods.extend(["takes", mood])
    world.reply(3, TEXT)
    world.run(for_s=5)
    assert "".join(world.bodies()) == TEXT
    assert "confirmed" in [step.state for step in world.steps]
    assert world.state(3) == "sent done"


def test_the_list_may_lag() -> None:
    world = World()
    world.list_mood = "lags"
    world.moods.append("takes in silence")
    world.reply(3, "hello")
    world.run(for_s=20)
    world.list_mood = "shows"
    world.run(for_s=20)
    assert (world.bodies(), world.state(3)) == (["hello"], "confirmed done")


@pytest.mark.parametrize("list_mood", ["shows", "shows others", "is closed"])
def test_what_may_have_been_sent_is_ambiguous_after_the_grace_and_does_not_stop_the_next(
    list_mood: str,
) -> None:
    world = World()
    world.moods.append("is silent")
    world.list_mood = list_mood
    world.reply(3, TEXT)
    world.reply(6, "next")
    world.run(for_s=LIMITS.grace_s - 1)
    assert world.state(3) == "prepared"
    world.run(for_s=20)
    assert (world.state(3), world.bodies()) == ("ambiguous done", ["next"])


def test_a_list_that_cannot_be_had_is_asked_for_long() -> None:
    world = World(limits(look_for_s=200.0))
    world.moods.append("takes in silence")
    world.list_mood = "is away"
    world.reply(3, "hello")
    world.run(for_s=150)
    assert world.state(3) == "prepared"
    world.list_mood = "shows"
    world.run(for_s=20)
    assert world.state(3) == "confirmed done"


def test_a_list_that_can_never_be_had_makes_it_ambiguous_in_the_end() -> None:
    world = World(limits(look_for_s=200.0))
    world.moods.append("is silent")
    world.list_mood = "is away"
    world.reply(3, "hello")
    world.run(for_s=250)
    assert world.state(3) == "ambiguous done"


def test_a_failure_that_the_carrier_admits_is_tried_again_when_the_list_agrees() -> None:
    world = World()
    world.moods.append("fails")
    world.reply(3, "hello")
    world.run(for_s=LIMITS.grace_s - 1)
    assert world.bodies() == []
    world.run(for_s=30)
    assert (world.bodies(), world.state(3)) == (["hello"], "sent done")


def test_where_so_configured_what_may_have_been_sent_is_sent_again_once_and_labelled() -> None:
    world = World(limits(resend_ambiguous=True))
    world.moods.append("is silent")
    world.reply(3, TEXT)
    world.run(for_s=60)
    assert world.bodies()[0].startswith(LABEL)
    assert "".join(world.bodies()).removeprefix(LABEL) == TEXT
    assert all(len(body) <= 60 for body in world.bodies())
    world.moods.extend(["is silent", "is silent"])
    world.reply(6, "again")
    world.run(for_s=200)
    assert world.state(6) == "ambiguous done"
    assert len([body for _, body in world.posts if "again" in body]) == 2


def test_an_ambiguous_one_that_a_person_wants_again_is_looked_for_first() -> None:
    world = World()
    world.moods.append("takes in silence")
    world.list_mood = "lags"
    world.reply(3, "hello")
    world.run(for_s=60)
    assert world.state(3) == "ambiguous done"
    world.list_mood = "shows"
    world.again(3)
    world.run(for_s=60)
    assert (world.state(3), world.bodies()) == ("confirmed done", ["hello"])


def test_an_ambiguous_one_that_a_person_wants_again_is_sent_labelled() -> None:
    world = World()
    world.moods.append("is silent")
    world.reply(3, TEXT)
    world.run(for_s=60)
    world.again(3)
    world.run(for_s=60)
    assert world.bodies()[0].startswith(LABEL)
    assert "".join(world.bodies()).removeprefix(LABEL) == TEXT


def test_a_disk_that_takes_no_notes_lets_nothing_out_and_loses_no_outcome() -> None:
    world = World()
    world.refuses_notes = True
    world.reply(3, "hello")
    world.run(for_s=30)
    assert world.posts == []
    world.refuses_notes = False
    world.run(for_s=20)
    assert world.state(3) == "sent done"
    world.reply(6, "next")
    while len(world.posts) < 2:
        world.step()
    world.refuses_notes = True
    world.run(for_s=30)
    assert world.core.finishing
    world.refuses_notes = False
    world.run(for_s=20)
    assert (world.bodies(), world.state(6)) == (["hello", "next"], "sent done")


@pytest.mark.parametrize("steps", range(6))
def test_nothing_more_of_a_deleted_conversation_is_sent_and_the_next_one_goes_on(steps: int) -> None:
    world = World()
    world.moods.extend(["is away"])
    world.reply(3, "x" * 100)  # two parts
    for _ in range(steps):
        if world.wanted:
            world.step()
    sent = len(world.posts)
    world.delete()
    world.run(for_s=30)
    assert len(world.posts) <= sent + 1, "but for what was on its way"
    assert world.bodies() == []
    world.reply(9, "anew")
    world.run(for_s=30)
    assert (world.bodies(), world.state(9)) == (["anew"], "sent done")


def test_replies_with_the_same_words_are_not_taken_for_each_other() -> None:
    world = World()
    world.reply(3, "OK")
    world.run()
    world.moods.append("is silent")
    world.reply(6, "OK")
    world.run(for_s=60)
    assert (world.state(3), world.state(6)) == ("sent done", "ambiguous done")


def test_so_many_numbers_are_served_at_once_and_no_more() -> None:
    world = World(limits(concurrent=3))
    for number in range(10):
        world.reply(3, "hello", f"sms:+{number}")
    assert len(world.wanted) == 3
    world.run()
    assert len(world.taken) == 10


def test_a_number_that_waits_takes_nobody_s_place() -> None:
    world = World(limits(concurrent=1))
    world.moods.append("is silent")
    world.reply(3, "hello")
    world.run(for_s=2)
    world.reply(3, "hello", OTHER)
    world.run(for_s=2)
    assert world.bodies(OTHER) == ["hello"]


def test_more_numbers_than_there_is_room_for_are_left_to_the_store() -> None:
    world = World(limits(lanes=2))
    for number in range(3):
        world.reply(3, "hello", f"sms:+{number}")
    assert len(world.core.lanes) == 2
    world.run()
    assert len(world.taken) == 2
    world.restart()
    world.run()
    assert len(world.taken) == 3


def test_a_drain_finishes_what_is_on_its_way_and_begins_nothing() -> None:
    world = World()
    world.reply(3, TEXT)
    world.reply(3, "hello", OTHER)
    while not world.posts:
        world.step()
    world.drain()
    world.run(for_s=60)
    assert not world.core.finishing
    assert len(world.taken) <= 2
    assert "prepared" not in {world.state(3), world.state(3, OTHER)}
    world.restart()
    world.run()
    assert "".join(world.bodies()) == TEXT
    assert world.bodies(OTHER) == ["hello"]


def test_a_drain_begins_no_part_of_which_nothing_is_noted_yet() -> None:
    world = World()
    world.reply(3, "hello")
    while not isinstance(world.wanted[0], AskContact):
        world.step()
    world.drain()
    world.run(for_s=60)
    assert (world.steps, world.posts) == ([], [])


def test_a_process_that_dies_at_any_step_sends_nothing_twice_and_loses_nothing() -> None:
    count = 0
    while True:
        world = World()
        world.reply(3, TEXT)
        world.reply(6, "next")
        for _ in range(count):
            if not world.wanted:
                return
            world.step()
        world.restart()
        world.run(for_s=100)
        sent = "".join(world.bodies())
        if world.state(3) == "ambiguous done":  # it died between the note and the request: nobody can know
            assert sent.endswith("next")
            assert TEXT.startswith(sent.removesuffix("next"))
        elif world.state(6) == "ambiguous done":
            assert sent == TEXT
        else:
            assert sent == TEXT + "next"
        count += 1


def test_damage_makes_every_part_be_looked_for_before_it_is_sent() -> None:
    world = World()
    world.reply(3, TEXT)
    world.run()
    sent = world.written.pop((S, 3))
    world.written[S, 3] = msgspec.structs.replace(
        sent, state="prepared", done=False, doubtful=True, part=1, start=0, end=0, sids=()
    )
    world.restart()
    world.run(for_s=60)
    assert "".join(world.bodies()) == TEXT
    assert world.state(3) == "confirmed done"


MOODS = st.sampled_from(
    [
        "takes",
        "takes in silence",
        "is silent",
        "fails",
        "takes and fails",
        "is busy",
        "is away",
        "refuses",
        "die",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    moods=st.lists(MOODS, max_size=12),
    deaths=st.lists(st.integers(1, 40), max_size=4),
    resend=st.booleans(),
)
def test_whatever_happens_each_reply_is_sent_once_in_order_or_set_aside(
    texts: list[int], moods: list[str], deaths: list[int], resend: bool
) -> None:
    world = World(limits(resend_ambiguous=resend))
    world.moods.extend(mood for mood in moods if mood != "die")
    replies = {3 * index + 3: f"{index}" * length for index, length in enumerate(texts)}
    for seq, text in replies.items():
        world.reply(seq, text)
    for steps in deaths:
        for _ in range(steps):
            if world.wanted:
                world.step()
        world.restart()
    world.run(for_s=2_000)
    sent = world.bodies()
    plain = [body for body in sent if not body.startswith(LABEL)]
    order = [body[-1] if body[-1] != "…" else body[-3] for body in sent]
    assert order == sorted(order)
    for index, (seq, text) in enumerate(replies.items()):
        state = world.state(seq)
        assert state.endswith(" done")
        said = "".join(body for body in plain if body.startswith(str(index))).removesuffix(" …")
        assert text.startswith(said)
        if state in ("sent done", "confirmed done") and not any(body.startswith(LABEL) for body in sent):
            assert said == text[: len(said)]
            assert len(said) == min(len(text), 298)
    if not resend:
        assert plain == sent


def limits(**changes: object) -> OutboxLimits:
    return OutboxLimits(**{**{name: getattr(LIMITS, name) for name in LIMITS.__slots__}, **changes})  # type: ignore[arg-type]
