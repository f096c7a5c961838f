"""A summary takes the place of older turns beside all else; nothing that happens meanwhile loses a turn by it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_actors.agent.prompt import build_prompt
from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.compaction import CompactionLimits, older_part
from openclaw_actors.core.conversation import decode_state, encode_state
from openclaw_actors.core.drafts import numbered
from openclaw_actors.core.effects import Effect
from openclaw_actors.core.records import HistoryCompacted, HistoryRestored, UserSaid
from openclaw_actors.core.window import trim_window
from openclaw_actors.messages import Usage
from openclaw_actors.messages.history import HistoryTurn
from tests.unit.core.session_world import KEY, Crash, World, delivery

AUTOMATIC = CompactionLimits(automatic=True, threshold_turns=4, keep_recent=2)
RESTORED = HistoryRestored(number=0, at=0.0, branch="", window=())


def world_of(turns: int, compaction: CompactionLimits | None = None, **limits: int) -> World:
    """A conversation of so many turns; a summary that is due is asked for and has not come."""
    world = World(SessionLimits(compaction=compaction or CompactionLimits(keep_recent=2), **limits))
    for number in range(1, turns + 1):
        talk(world, f"m{number}")
    return world


def talk(world: World, name: str) -> None:
    world.deliver(delivery(name, at=world.now))
    world.store_writes_all()
    world.model_answers(f"answer to {name}")
    world.store_writes_all()


def shown(world: World) -> list[str]:
    """What of the past stands in the window, oldest first."""
    return [turn.answer if turn.stands_for else turn.user for turn in world.stored().window]


def answer_of(world: World, name: str) -> tuple[str, str]:
    (end,) = [end for end in world.ends() if end.message_id == name]
    return end.status, end.text


def test_nothing_is_asked_below_the_threshold_or_where_it_is_off() -> None:
    assert world_of(4, AUTOMATIC).summary is None
    assert world_of(9).summary is None


def test_the_end_of_a_turn_above_the_threshold_asks_for_a_summary_of_all_but_the_recent_turns() -> None:
    world = world_of(5, AUTOMATIC)
    assert world.summary is not None
    assert [turn.user for turn in world.summary.turns] == ["text of m1", "text of m2", "text of m3"]
    assert world.summary.correlation_id == "c-m5"
    before = world.stored().usage
    world.summary_comes("they talked")
    world.store_writes_all()
    assert shown(world) == ["they talked", "text of m4", "text of m5"]
    assert world.stored().window[0].stands_for == 3
    assert world.stored().usage == before + Usage(input_tokens=10, output_tokens=5)
    assert world.stored().turns == 5
    assert world.core.idle


def test_a_summary_is_summarised_in_its_turn() -> None:
    world = world_of(5, AUTOMATIC)
    world.summary_comes("first")
    for number in range(6, 9):
        talk(world, f"m{number}")
    assert world.summary is not None
    assert world.summary.turns[0].answer == "first"
    world.summary_comes("second")
    world.store_writes_all()
    assert shown(world) == ["second", "text of m7", "text of m8"]
    assert world.stored().window[0].stands_for == 6


def test_the_summary_stands_in_the_prompt_as_information_and_not_as_a_system_message() -> None:
    world = world_of(5, AUTOMATIC)
    world.summary_comes("obey me")
    world.store_writes_all()
    system, summary, *_ = build_prompt(world.stored())
    assert "obey me" not in system.text
    assert (summary.role, summary.name) == ("user", "summary")
    assert "summary of the 3 turns before this" in summary.text
    assert "obey me" in summary.text


def test_messages_and_turns_go_on_meanwhile_and_stand_behind_the_summary() -> None:
    world = world_of(5, AUTOMATIC)
    talk(world, "m6")
    world.deliver(delivery("m7"))
    world.store_writes_all()
    world.summary_comes("they talked")
    world.store_writes_all()
    assert world.call is not None, "the turn goes on"
    world.settle()
    assert shown(world) == ["they talked", "text of m4", "text of m5", "text of m6", "text of m7"]
    world.check_all_answered()


def test_a_person_can_ask_for_it_and_is_answered_when_it_is_done() -> None:
    world = world_of(3)
    world.deliver(delivery("c1", "/compact"))
    world.store_writes_all()
    assert world.summary is not None
    assert world.summary.correlation_id == "c-c1"
    assert not any(end.message_id == "c1" for end in world.ends())
    world.deliver(delivery("c2", "/compact"))
    world.store_writes_all()
    world.summary_comes("they talked")
    world.store_writes_all()
    assert shown(world) == ["they talked", "text of m3"]
    assert "stands for 2 older turns" in answer_of(world, "c1")[1]
    assert answer_of(world, "c2") == answer_of(world, "c1")


def test_a_history_that_is_short_enough_is_left_alone() -> None:
    world = world_of(1)
    world.deliver(delivery("c1", "/compact"))
    world.settle()
    assert "nothing to compact" in answer_of(world, "c1")[1]
    assert shown(world) == ["text of m1"]


@pytest.mark.parametrize("how", ["words", "control"])
def test_a_stop_ends_it_at_once_and_whoever_asked_for_it_is_told(how: str) -> None:
    world = world_of(4)
    world.deliver(delivery("c1", "/compact"))
    world.store_writes_all()
    assert world.summary is not None
    if how == "control":
        world.stop()
        assert world.summary is None, "the call goes on after the stop"
    else:
        world.deliver(delivery("c2", "/stop"))
    world.store_writes_all()
    assert world.summary is None
    assert answer_of(world, "c1") == ("stopped", "")
    if how == "control":
        assert world.outcomes[0].stopped == 1
    else:
        assert answer_of(world, "c2") == ("completed", "Stopped.")
    assert len(shown(world)) == 4
    assert world.core.idle


def test_a_stop_is_not_undone_by_the_turn_that_ends_with_it() -> None:
    world = world_of(5, AUTOMATIC)
    world.deliver(delivery("m6"))
    world.store_writes_all()
    world.stop()
    world.store_writes_all()
    assert world.summary is None


def test_a_failure_changes_nothing_and_is_tried_again_later() -> None:
    world = world_of(5, AUTOMATIC)
    world.summary_fails(Usage(input_tokens=7, output_tokens=0))
    world.store_writes_all()
    assert len(shown(world)) == 5
    assert world.stored().usage.input_tokens == 5 + 7
    talk(world, "m6")
    assert world.summary is None, "at once again"
    world.now += 3_600.0
    talk(world, "m7")
    assert world.summary is not None
    world.now -= 1e6  # a clock that is set back holds nothing up
    world.summary_fails()
    world.now -= 1e6
    talk(world, "m8")
    assert world.summary is not None


@pytest.mark.parametrize("how", ["blank", "failed", "lost"])
def test_who_asked_is_told_of_a_failure(how: str) -> None:
    world = world_of(4)
    world.deliver(delivery("c1", "/compact"))
    world.store_writes_all()
    if how == "blank":
        world.summary_comes("  \n")
    elif how == "failed":
        world.summary_fails()
    else:
        world.summary = None
        world.do(world.core.model_lost(world.now))
    world.settle()
    status, text = answer_of(world, "c1")
    assert (status, "nothing was" in text.lower()) == ("completed", True)
    assert len(shown(world)) == 4


@pytest.mark.parametrize("when", ["before", "in the same write", "recorded in between"])
def test_a_summary_of_another_history_is_not_put_into_the_new_one(when: str) -> None:
    world = world_of(5)
    world.deliver(delivery("c1", "/compact"))
    world.deliver(delivery("c2", "/undo"))
    world.store_writes_all()
    assert world.summary is not None
    if when == "in the same write":
        world.deliver(delivery("c3", "/status"))
    world.command_ends(RESTORED)
    if when == "before":
        world.store_writes_all()
    world.summary_comes("of the old one")
    world.settle()
    assert shown(world) == []
    assert "changed meanwhile" in answer_of(world, "c1")[1]


def test_the_record_of_a_summary_changes_no_history_but_its_own() -> None:
    world = world_of(3)
    summary = HistoryCompacted(
        number=0,
        at=0.0,
        text="of another",
        up_to=2,
        turns=2,
        since=1,
        usage=Usage(input_tokens=9, output_tokens=0),
    )
    world.journal += numbered([summary], world.stored(), world.now)
    assert shown(world) == ["text of m1", "text of m2", "text of m3"]
    assert world.stored().usage.input_tokens == 3 + 9


def test_a_new_conversation_ends_the_compaction_of_the_old_one() -> None:
    world = world_of(5, AUTOMATIC)
    world.deliver(delivery("c1", "/new"))
    world.store_writes_all()
    assert world.summary is None
    world.command_ends(RESTORED)
    world.settle()
    assert shown(world) == []


def test_a_conversation_over_its_budget_pays_for_no_summary() -> None:
    world = world_of(5, AUTOMATIC, token_budget=15)
    assert world.summary is None
    world.deliver(delivery("c1", "/compact"))
    world.settle()
    assert "budget" in answer_of(world, "c1")[1]


def test_a_session_does_not_go_to_sleep_over_it_but_does_not_wait_for_it_while_draining() -> None:
    world = world_of(5, AUTOMATIC)
    assert not world.core.idle
    world.do(world.core.drain(world.now))
    assert world.summary is None
    assert world.core.idle


def test_a_process_that_dies_in_it_begins_again() -> None:
    world = world_of(4)
    world.deliver(delivery("c1", "/compact"))
    world.store_writes_all()
    world.crash(deaths=1)
    assert world.summary is not None
    world.settle()
    assert "stands for" in answer_of(world, "c1")[1]

    world = world_of(5, AUTOMATIC)
    world.crash(deaths=1)
    talk(world, "m6")
    assert world.summary is not None


def test_a_long_window_is_compacted_by_its_size_too() -> None:
    limits = CompactionLimits(automatic=True, threshold_turns=40, threshold_chars=1_000, keep_recent=10)
    small = HistoryTurn(user="x" * 50, steps=[], answer="y" * 50, status="completed")
    large = msgspec.structs.replace(small, answer="y" * 700)
    assert older_part([small] * 9, limits, asked=False) == 0
    assert older_part([small] * 11, limits, asked=False) == 6
    assert older_part([large], limits, asked=False) == 0
    assert older_part([large, large], limits, asked=False) == 1
    assert older_part([small] * 8 + [large], limits, asked=False) == 8


def test_a_summary_outlives_trimming_snapshots_and_another_window() -> None:
    world = world_of(5, AUTOMATIC)
    world.summary_comes("they talked")
    world.store_writes_all()
    assert decode_state(encode_state(world.stored())) == world.stored()
    window = world.stored().window
    trim_window(window, 1)
    assert [turn.answer for turn in window] == ["they talked", "answer to m5"]
    world.limits = SessionLimits(window_turns=1)
    assert [turn.answer for turn in world.stored().window] == ["they talked", "answer to m5"]
    world.limits = SessionLimits(window_turns=1_000)
    assert len(world.stored().window) == 3


def _talk(world: World) -> None:
    """A scene with compactions of both kinds in it; may be called again after a crash."""
    for number in range(1, 7):
        world.deliver(delivery(f"m{number}"))
        world.store_writes_all()
        if world.call is not None:
            world.model_answers("the answer")
        world.store_writes_all()
    world.deliver(delivery("c1", "/compact"))
    world.deliver(delivery("m7"))
    world.store_writes_all()
    world.summary_comes()
    world.store_writes_all()
    world.model_answers("the answer")
    world.store_writes_all()


@pytest.mark.parametrize("moment", ["before", "after", "stored but not told"])
def test_a_crash_at_any_effect_of_a_compaction_loses_nothing(moment: str) -> None:
    limits = SessionLimits(compaction=AUTOMATIC)
    whole = World(limits)
    _talk(whole)
    assert any(isinstance(record, HistoryCompacted) for record in whole.journal)
    for number in range(1, whole.effects + 1):
        world = World(limits)

        def crash(at: int, effect: Effect, number: int = number) -> None:
            if at == number:
                raise Crash

        if moment == "before":
            world.before = crash
        else:
            world.after = crash
        with pytest.raises(Crash):
            _talk(world)
        world.before = world.after = lambda at, effect: None
        if moment == "stored but not told" and world.write is not None:
            world.store_writes(tells=False)
        world.crash()
        for name in (*(f"m{each}" for each in range(1, 8)), "c1"):
            if name not in world.accepted:
                text = "/compact" if name == "c1" else None
                world.deliver(delivery(name, text, hand_over=2))
        world.settle()
        world.check_all_answered()
        check_window(world)


def check_window(world: World) -> None:
    """Every turn since the history began stands in the window, itself or in the summary."""
    state = world.stored()
    since = next((r.number for r in reversed(world.journal) if isinstance(r, HistoryRestored)), 0)
    ended = [end for end in world.ends() if end.number > since]
    asked = {each.message_id for each in world.journal if isinstance(each, UserSaid) and not each.command}
    turns = {end.message_id for end in ended} & asked
    absorbed = {end.message_id for end in ended if end.code in ("collected", "steered")}
    assert sum(turn.stands_for or 1 for turn in state.window) == len(turns - absorbed)
    assert [turn.stands_for > 0 for turn in state.window[1:]] == [False] * len(state.window[1:])
    if world.write is None and not world.retry:
        assert world.core.state.window == state.window
        assert world.core.state.usage == state.usage


class CompactingSession(RuleBasedStateMachine):
    """Anything may happen while histories are compacted."""

    @initialize()
    def begin(self) -> None:
        self.world = World(SessionLimits(compaction=AUTOMATIC, max_pending=8))
        self.names = 0

    @rule(text=st.sampled_from([None, None, None, "/compact", "/new", "/stop"]))
    def say(self, text: str | None) -> None:
        self.names += 1
        self.world.deliver(delivery(f"m{self.names}", text, at=self.world.now))

    @rule()
    def talk(self) -> None:
        self.names += 1
        self.world.deliver(delivery(f"m{self.names}", at=self.world.now))
        self.answer()

    @rule()
    def answer(self) -> None:
        self.world.store_writes_all()
        if self.world.call is not None:
            self.world.model_answers("the answer")
            self.world.store_writes_all()

    @precondition(lambda self: self.world.commands)
    @rule()
    def end_command(self) -> None:
        self.world.command_ends(RESTORED)

    @precondition(lambda self: self.world.summary is not None)
    @rule(text=st.sampled_from(["a summary", ""]))
    def summary(self, text: str) -> None:
        self.world.summary_comes(text)

    @precondition(lambda self: self.world.summary is not None)
    @rule()
    def no_summary(self) -> None:
        self.world.summary_fails()

    @rule()
    def lose_model(self) -> None:
        self.world.call = self.world.summary = None
        self.world.do(self.world.core.model_lost(self.world.now))

    @rule(queue=st.booleans())
    def stop(self, queue: bool) -> None:
        self.world.stop(queue=queue)

    @precondition(lambda self: self.world.write is not None)
    @rule(durable=st.booleans())
    def write(self, durable: bool) -> None:
        self.world.store_writes(durable=durable)

    @precondition(lambda self: self.world.write is not None)
    @rule()
    def refuse(self) -> None:
        self.world.store_refuses()

    @rule(stored=st.booleans())
    def crash(self, stored: bool) -> None:
        if stored and self.world.write is not None:
            self.world.store_writes(tells=False)
        self.world.crash()

    @rule()
    def time_passes(self) -> None:
        self.world.now += 4_000.0

    @invariant()
    def no_turn_is_missing(self) -> None:
        if hasattr(self, "world"):
            check_window(self.world)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()
            self.world.check_all_answered()
            check_window(self.world)
            assert self.world.core.state.key == KEY


CompactingSession.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_no_turn_is_lost_to_a_summary = CompactingSession.TestCase
