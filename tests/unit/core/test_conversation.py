"""A conversation is what its records add up to."""

from __future__ import annotations

import copy

import msgspec
import pytest

from openclaw_actors.core.conversation import (
    REMEMBERED_IDS,
    REMEMBERED_IDS_AT_MOST,
    REMEMBERED_SECONDS,
    Conversation,
    OutOfOrder,
    apply,
    decode_state,
    encode_state,
    text_digest,
)
from openclaw_actors.core.records import (
    AssistantSpoke,
    HistoryRestored,
    IncarnationOpened,
    Record,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
    turn_id_of,
)
from openclaw_actors.core.window import MOST_WINDOW_CHARS, trim_window, window_chars
from openclaw_actors.messages.events import TurnStatus, Usage
from openclaw_actors.messages.history import HistoryTurn, Step, ToolOutcome
from openclaw_actors.messages.model import ToolCall

CALL = ToolCall(call_id="c1", name="shell", arguments="{}")


class Talk:
    """A conversation and the numbers of its next record."""

    def __init__(self, *, window_turns: int = 3) -> None:
        self.state = Conversation(key="k")
        self._window = window_turns

    def add(self, record: Record) -> None:
        fields = {"number": self.state.number + 1}
        if hasattr(record, "seq"):
            fields["seq"] = self.state.seq + 1
        apply(self.state, msgspec.structs.replace(record, **fields), window_turns=self._window)

    def say(self, message_id: str, *, at: float = 10.0) -> None:
        self.add(
            UserSaid(
                number=0,
                at=at,
                seq=0,
                message_id=message_id,
                text=f"text {message_id}",
                queued=len(self.state.open),
                delivery_id=f"d-{message_id}",
                channel="websocket",
                correlation_id="c",
            )
        )

    def begin(self, message_id: str, *, attempt: int = 1, deaths: int = 0) -> None:
        self.add(
            TurnBegan(
                number=0,
                at=11.0,
                seq=0,
                turn_id=turn_id_of(message_id),
                message_id=message_id,
                attempt=attempt,
                deaths=deaths,
            )
        )

    def ask_for_tool(self, message_id: str) -> None:
        id_ = turn_id_of(message_id)
        usage = Usage(input_tokens=5, output_tokens=1)
        self.add(AssistantSpoke(number=0, at=12.0, turn_id=id_, text="hm", tool_calls=(CALL,), usage=usage))
        self.add(
            ToolStarted(number=0, at=12.0, seq=0, turn_id=id_, call_id="c1", name="shell", arguments="{}")
        )

    def finish_tool(self, message_id: str) -> None:
        id_ = turn_id_of(message_id)
        self.add(
            ToolFinished(
                number=0, at=13.0, seq=0, turn_id=id_, call_id="c1", name="shell", status="ok", text="files"
            )
        )

    def end(
        self, message_id: str, *, status: TurnStatus = "completed", at: float = 14.0, text: str = ""
    ) -> None:
        self.add(
            TurnEnded(
                number=0,
                at=at,
                seq=0,
                turn_id=turn_id_of(message_id),
                message_id=message_id,
                status=status,
                text=text or f"answer {message_id}",
                usage=Usage(input_tokens=10, output_tokens=2),
            )
        )

    def turn(self, message_id: str, *, at: float = 10.0) -> None:
        self.say(message_id, at=at)
        self.begin(message_id)
        self.end(message_id, at=at)


def test_a_turn_from_its_message_to_its_end() -> None:
    talk = Talk()
    talk.say("a", at=10.0)
    talk.begin("a")
    assert [(each.message_id, each.attempt) for each in talk.state.open] == [("a", 1)]
    talk.ask_for_tool("a")
    assert talk.state.open[0].steps[0].started == {"c1"}
    assert talk.state.open[0].steps[0].outcomes == {}
    assert talk.state.open[0].usage == Usage(input_tokens=5, output_tokens=1)
    talk.finish_tool("a")
    talk.end("a", at=14.0)
    state = talk.state
    (turn,) = state.window
    assert (turn.user, turn.answer, turn.status) == ("text a", "answer a", "completed")
    assert turn.steps[0].outcomes["c1"].text == "files"
    assert (state.open, state.turns, state.created_at, state.last_active_at) == ([], 1, 10.0, 14.0)
    assert state.usage == Usage(input_tokens=10, output_tokens=2)
    assert state.remembered["a"].ended_seq == state.seq


def test_messages_wait_in_order_and_any_of_them_can_end() -> None:
    talk = Talk()
    for message_id in "abc":
        talk.say(message_id)
    talk.begin("a")
    talk.end("b", status="stopped")
    assert [each.message_id for each in talk.state.open] == ["a", "c"]
    talk.end("a")
    talk.begin("c")
    assert talk.state.open[0].attempt == 1


def test_what_comes_late_of_an_ended_turn_changes_no_other() -> None:
    talk = Talk()
    talk.say("a")
    talk.say("b")
    talk.begin("a")
    talk.ask_for_tool("a")
    talk.end("a", status="stopped")
    talk.begin("b")
    talk.ask_for_tool("b")
    before = copy.deepcopy(talk.state.open)
    talk.finish_tool("a")
    talk.begin("a", attempt=7)
    assert talk.state.open == before


def test_deaths_are_counted_until_there_is_progress() -> None:
    talk = Talk()
    talk.say("a")
    talk.begin("a", attempt=2, deaths=1)
    assert talk.state.open[0].deaths == 1
    talk.ask_for_tool("a")
    assert talk.state.open[0].deaths == 0
    talk.begin("a", attempt=3, deaths=1)
    talk.finish_tool("a")
    assert (talk.state.open[0].deaths, talk.state.open[0].attempt) == (0, 3)


def test_the_window_holds_the_last_turns_and_the_count_all() -> None:
    talk = Talk(window_turns=3)
    for index in range(10):
        talk.turn(str(index))
    assert [each.user for each in talk.state.window] == ["text 7", "text 8", "text 9"]
    assert talk.state.turns == 10
    assert talk.state.usage.total == 120


def test_the_window_fits_into_one_message_however_long_the_turns_are() -> None:
    talk = Talk(window_turns=50)
    for index in range(50):
        talk.say(str(index))
        talk.end(str(index), text="\N{PILE OF POO}" * 1_000_000)
    assert [each.user for each in talk.state.window] == ["text 47", "text 48", "text 49"]
    assert talk.state.turns == 50
    assert len(encode_state(talk.state)) < 17_000_000
    talk.say("last")
    talk.end("last", text="x" * (MOST_WINDOW_CHARS + 1))
    assert [each.user for each in talk.state.window] == ["text last"]
    talk.turn("short")
    assert [each.user for each in talk.state.window] == ["text short"]


def test_what_tools_said_counts_for_the_size_of_the_window() -> None:
    outcome = {"c": ToolOutcome(status="ok", text="x" * (MOST_WINDOW_CHARS - 100))}
    step = Step(text="", calls=(CALL,), outcomes=outcome)
    window = [HistoryTurn(user="a", steps=[step], answer="b", status="completed")]
    window.append(HistoryTurn(user="c" * 200, steps=[], answer="", status="completed"))
    trim_window(window, 50)
    assert [each.user[0] for each in window] == ["c"]


def test_the_size_of_the_window_is_kept_up() -> None:
    talk = Talk(window_turns=3)
    for number in range(6):
        talk.turn("x" * 10**number)
        assert talk.state.window_chars == window_chars(talk.state.window)
        assert b"window_chars" not in encode_state(talk.state)


def test_a_second_end_changes_nothing() -> None:
    talk = Talk()
    talk.turn("a")
    turns = copy.deepcopy(talk.state.window)
    talk.end("a", status="failed")
    assert (talk.state.window, talk.state.turns) == (turns, 1)


@pytest.mark.parametrize(("number", "seq"), [(1, 4), (3, 4), (5, 4), (4, 3), (4, 5)])
def test_a_record_out_of_order_changes_nothing(number: int, seq: int) -> None:
    talk = Talk()
    talk.turn("a")
    before = copy.deepcopy(talk.state)
    record = TurnBegan(number=number, at=1.0, seq=seq, turn_id="t", message_id="b", attempt=1)
    with pytest.raises(OutOfOrder):
        apply(talk.state, record, window_turns=3)
    assert talk.state == before


def test_a_branch_gives_the_window_and_nothing_else() -> None:
    talk = Talk(window_turns=2)
    for index in range(3):
        talk.turn(str(index))
    old = tuple(HistoryTurn(user=str(n), steps=[], answer="x", status="completed") for n in range(5))
    remembered, seq = dict(talk.state.remembered), talk.state.seq
    talk.add(HistoryRestored(number=0, at=20.0, branch="b", window=old))
    assert [each.user for each in talk.state.window] == ["3", "4"]
    assert (talk.state.turns, talk.state.seq, talk.state.remembered) == (3, seq, remembered)
    talk.turn("next")
    assert [each.user for each in talk.state.window] == ["4", "text next"]


def test_a_token_never_falls() -> None:
    talk = Talk()
    for token in (5, 3):
        talk.add(IncarnationOpened(number=0, at=1.0, token=token))
    assert talk.state.token == 5


class TestRememberedIds:
    def test_the_last_1024_are_remembered_however_old(self) -> None:
        talk = Talk()
        for index in range(REMEMBERED_IDS + 10):
            talk.turn(str(index), at=index * REMEMBERED_SECONDS)
        assert list(talk.state.remembered) == [str(index) for index in range(10, REMEMBERED_IDS + 10)]

    def test_those_of_seven_days_are_remembered_however_many(self) -> None:
        talk = Talk()
        for index in range(REMEMBERED_IDS + 500):
            talk.turn(str(index), at=1_000.0)
        assert len(talk.state.remembered) == REMEMBERED_IDS + 500

    def test_a_message_without_an_answer_is_never_forgotten(self) -> None:
        talk = Talk()
        talk.say("open", at=0.0)
        for index in range(REMEMBERED_IDS + 10):
            talk.turn(str(index), at=index * REMEMBERED_SECONDS)
        assert "open" in talk.state.remembered

    def test_a_clock_that_steps_back_forgets_nothing(self) -> None:
        talk = Talk()
        for index in range(REMEMBERED_IDS + 10):
            talk.turn(str(index), at=1e9 - index * REMEMBERED_SECONDS)
        assert len(talk.state.remembered) == REMEMBERED_IDS + 10

    def test_there_is_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("openclaw_actors.core.conversation.REMEMBERED_IDS_AT_MOST", REMEMBERED_IDS + 20)
        assert REMEMBERED_IDS_AT_MOST == 100_000
        talk = Talk()
        for index in range(REMEMBERED_IDS + 100):
            talk.turn(str(index))
        assert len(talk.state.remembered) == REMEMBERED_IDS + 20

    def test_a_repetition_can_be_answered_from_what_is_remembered(self) -> None:
        talk = Talk()
        talk.say("first")
        talk.say("a")
        remembered = talk.state.remembered["a"]
        assert (remembered.seq, remembered.queued, remembered.delivery_id) == (2, 1, "d-a")
        assert remembered.digest == text_digest("text a") != text_digest("another text")
        assert remembered.ended_seq == 0


def test_a_state_comes_back_as_it_was() -> None:
    talk = Talk()
    for message_id in "abcd":
        talk.turn(message_id)
    talk.say("open")
    talk.begin("open")
    talk.ask_for_tool("open")
    assert decode_state(encode_state(talk.state)) == talk.state


@pytest.mark.parametrize("tokens", [1 << 80, -(1 << 80)])
def test_any_count_of_tokens_leaves_a_state_that_can_be_encoded(tokens: int) -> None:
    talk = Talk()
    talk.say("a")
    usage = Usage(input_tokens=tokens, output_tokens=tokens)
    for _ in range(2):
        talk.add(AssistantSpoke(number=0, at=1.0, turn_id="turn-a", text="", tool_calls=(), usage=usage))
        assert decode_state(encode_state(talk.state)) == talk.state
