"""Checks what a client sends and shows, whatever is cut and resumed: nothing missing, nothing twice."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from openclaw_actors.cli.conversation import REMEMBERED_REFUSALS, Conversation
from openclaw_actors.cli.effects import (
    AnswerBegan,
    AnswerRestarted,
    AnswerText,
    Effect,
    Frame,
    MessageTaken,
    Noticed,
    Refused,
    TurnEnded,
)
from openclaw_actors.cli.transcript import Transcript

DURABLE = ("message_accepted", "turn_started", "turn_done")


class Gateway:
    """One session as the protocol describes it: what was journalled can be replayed, what was streamed cannot."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.taken: dict[str, str] = {}
        self.attempt = 1
        self.streamed = ""
        self.running = ""

    def _durable(self, type_: str, **fields: Any) -> dict[str, Any]:
        event = {"type": type_, "sessionId": "s", "seq": len(self.log) + 1, **fields}
        self.log.append(event)
        return event

    def take(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """A user's message: new, or a repetition."""
        message_id, text = body["messageId"], body["text"]
        if message_id in self.taken:
            mine = [event for event in self.log if event["messageId"] == message_id]
            accepted = [{**e, "duplicate": True} for e in mine if e["type"] == "message_accepted"]
            return accepted + [e for e in mine if e["type"] == "turn_done"]
        self.taken[message_id] = text
        return [self._durable("message_accepted", messageId=message_id, text=text, queued=0)]

    def run(self, message_id: str) -> list[dict[str, Any]]:
        """All events of a turn, as they come."""
        turn = f"t-{message_id}"
        events = [self._durable("turn_started", turnId=turn, messageId=message_id, attempt=1)]
        self.running, self.streamed = turn, ""
        for word in (f"echo: {self.taken[message_id]}", " and", " so", " on"):
            events.append(self._chunk(turn, len(self.streamed), word))
            self.streamed += word
        events.append(
            self._durable(
                "turn_done", turnId=turn, messageId=message_id, status="completed", text=self.streamed
            )
        )
        return events

    def _chunk(self, turn: str, offset: int, text: str) -> dict[str, Any]:
        return {
            "type": "assistant_chunk",
            "sessionId": "s",
            "turnId": turn,
            "attempt": 1,
            "offset": offset,
            "text": text,
        }

    def resume(self, last_seq: int | None) -> list[dict[str, Any]]:
        return [] if last_seq is None else self.log[last_seq:]


def shown(effects: list[Effect]) -> str:
    transcript = Transcript()
    return "".join(transcript.show(effect) for effect in effects)


def bodies(effects: list[Effect], kind: str) -> list[dict[str, Any]]:
    return [each.body for each in effects if isinstance(each, Frame) and each.body["type"] == kind]


def play(cuts: tuple[int, ...], *, replay_first: bool = True) -> tuple[list[Effect], Conversation, Gateway]:
    """Two messages and their answers; the connection breaks before each event whose number is in `cuts`.

    Args:
        replay_first: after a cut the replay comes before the answers to repeated messages, else after them.
    """
    ids = (f"m{n}" for n in itertools.count(1))
    client, gateway = Conversation(session="s", follow=True, new_id=lambda: next(ids)), Gateway()
    effects: list[Effect] = list(client.connected())
    count = itertools.count()

    def deliver(events: list[dict[str, Any]]) -> None:
        for event in events:
            if next(count) in cuts:
                client.disconnected()
                again = client.connected()
                effects.extend(again)
                replayed = [
                    e for body in bodies(again, "resume") for e in gateway.resume(body.get("lastSeq"))
                ]
                repeated = [e for body in bodies(again, "user_message") for e in gateway.take(body)]
                deliver(replayed + repeated if replay_first else repeated + replayed)
                # Of what was lost, only what is durable comes again; passing events may.
                if event["type"] in DURABLE:
                    continue
            effects.extend(client.received(event))

    for text in ("one", "two"):
        message_id, said = client.say(text)
        effects.extend(said)
        for body in bodies(said, "user_message"):
            deliver(gateway.take(body))
        deliver(gateway.run(message_id))
    return effects, client, gateway


def ended(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(each.message_id, each.text) for each in effects if isinstance(each, TurnEnded)]


ANSWERS = [("m1", "echo: one and so on"), ("m2", "echo: two and so on")]


@pytest.mark.parametrize("first", range(-1, 14))
@pytest.mark.parametrize("second", range(0, 16, 3))
@pytest.mark.parametrize("replay_first", [True, False])
def test_whatever_is_cut_each_answer_is_shown_once_and_in_order(
    first: int, second: int, replay_first: bool
) -> None:
    effects, client, _ = play((first, second), replay_first=replay_first)
    assert not client.answering
    assert ended(effects) == ANSWERS
    assert "".join(shown(effects).split("\n")).count("echo: one and so on") == 1
    assert shown(effects) == "echo: one and so on\necho: two and so on\n"
    assert client.waiting == 0


def test_a_message_that_was_not_taken_is_sent_again_under_its_id() -> None:
    client = Conversation(session="s")
    message_id, effects = client.say("hello")
    assert effects == []  # not connected yet
    for _ in range(2):
        [body] = bodies(client.connected(), "user_message")
        assert (body["messageId"], body["text"]) == (message_id, "hello")
        client.disconnected()


def test_a_message_that_was_taken_is_not_sent_again() -> None:
    client, gateway = Conversation(session="s"), Gateway()
    client.connected()
    _, effects = client.say("hello")
    for event in gateway.take(bodies(effects, "user_message")[0]):
        client.received(event)
    client.disconnected()
    again = client.connected()
    assert bodies(again, "user_message") == []
    assert bodies(again, "resume") == [{"type": "resume", "sessionId": "s", "lastSeq": 1}]


def test_an_answer_that_a_repetition_brought_is_not_shown_again_by_the_replay() -> None:
    ids = iter(("m1", "m2"))
    client, gateway = Conversation(session="s", new_id=lambda: next(ids)), Gateway()
    client.connected()
    _, effects = client.say("one")
    for event in gateway.take(bodies(effects, "user_message")[0]) + gateway.run("m1"):
        client.received(event)
    _, effects = client.say("two")
    gateway.take(bodies(effects, "user_message")[0])  # the connection breaks before the receipt comes
    gateway.run("m2")
    client.disconnected()
    again = client.connected()
    [resume], [repeated] = bodies(again, "resume"), bodies(again, "user_message")
    events = gateway.take(repeated) + gateway.resume(resume["lastSeq"])
    out: list[Effect] = [effect for event in events for effect in client.received(event)]
    assert shown(out) == "echo: two and so on\n"
    assert not client.answering
    assert client.last_seq == len(gateway.log)


def test_a_new_attempt_voids_what_was_streamed() -> None:
    client, gateway = Conversation(session="s", new_id=lambda: "m1"), Gateway()
    client.connected()
    _, effects = client.say("one")
    events = gateway.take(bodies(effects, "user_message")[0]) + gateway.run("m1")
    out: list[Effect] = [effect for event in events[:4] for effect in client.received(event)]
    out += client.received({**events[2], "attempt": 2})
    assert any(isinstance(effect, AnswerRestarted) for effect in out)
    assert client.received({**events[3], "attempt": 1}) == []  # late, of the void attempt
    out += client.received(events[-1])
    assert ended(out) == ANSWERS[:1]
    assert shown(out).endswith("starts again)\necho: one and so on\n")


def test_a_refusal_ends_the_waiting_for_that_message() -> None:
    client = Conversation(session="s")
    client.connected()
    message_id, _ = client.say("hello")
    effects = client.received({"type": "error", "code": "busy", "text": "Busy.", "messageId": message_id})
    assert any(isinstance(effect, Refused) for effect in effects)
    assert client.waiting == 0
    assert bodies(client.connected(), "user_message") == []


def test_events_of_another_session_are_left_alone() -> None:
    client = Conversation(session="s", follow=True)
    client.connected()
    event = {
        "type": "message_accepted",
        "sessionId": "t",
        "seq": 1,
        "messageId": "m",
        "text": "x",
        "queued": 0,
    }
    assert client.received(event) == []
    taken = [
        effect for effect in client.received({**event, "sessionId": "s"}) if isinstance(effect, MessageTaken)
    ]
    assert [each.mine for each in taken] == [False]


def test_overlapping_chunks_are_shown_once() -> None:
    client = Conversation(session="s", follow=True)
    client.connected()
    chunk = {"type": "assistant_chunk", "sessionId": "s", "turnId": "t", "attempt": 1}
    effects: list[Effect] = []
    for offset, text in ((0, "abc"), (0, "abcde"), (3, "defg"), (9, "gap"), (7, "h")):
        effects += client.received({**chunk, "offset": offset, "text": text})
    assert "".join(each.text for each in effects if isinstance(each, AnswerText)) == "abcdefgh"


# What is refused


def error(code: str, message_id: str | None = None) -> dict[str, Any]:
    return {"type": "error", "sessionId": "s", "code": code, "text": "no", "messageId": message_id}


def talking() -> Conversation:
    numbers = itertools.count(1)
    conversation = Conversation("s", new_id=lambda: f"id{next(numbers)}")
    conversation.connected()
    return conversation


def frames(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(each.body["messageId"], each.body["text"]) for each in effects if isinstance(each, Frame)]


def test_what_was_refused_is_sent_again_under_its_id() -> None:
    conversation = talking()
    conversation.say("hello")
    (_, refused) = conversation.received(error("busy", "id1"))
    assert refused == Refused(code="busy", text="no", message_id="id1", again=True)
    assert (conversation.waiting, [each.text for each in conversation.refused]) == (0, ["hello"])
    assert frames(conversation.say_again(conversation.refused[0])) == [("id1", "hello")]
    assert (conversation.waiting, conversation.refused) == (1, ())


def test_an_id_that_is_spent_is_replaced() -> None:
    conversation = talking()
    conversation.say("hello")
    conversation.received(error("message_id_conflict", "id1"))
    assert frames(conversation.say_again(conversation.refused[0])) == [("id2", "hello")]


def test_what_is_wrong_with_the_message_itself_is_not_to_be_sent_again() -> None:
    conversation = talking()
    conversation.say("hello")
    (_, refused) = conversation.received(error("bad_field", "id1"))
    assert isinstance(refused, Refused)
    assert not refused.again
    assert [each.again for each in conversation.refused] == [False]


def test_a_message_that_was_taken_and_is_given_up_keeps_its_end() -> None:
    conversation = talking()
    conversation.say("hello")
    accepted = {"type": "message_accepted", "sessionId": "s", "seq": 1, "messageId": "id1", "text": "hello"}
    conversation.received(accepted)
    (_, noticed) = conversation.received(error("quarantined", "id1"))
    assert isinstance(noticed, Noticed)
    assert (conversation.waiting, conversation.refused) == (1, ())
    done = {"type": "turn_done", "sessionId": "s", "seq": 2, "turnId": "t", "messageId": "id1"}
    *_, ended = conversation.received({**done, "status": "failed", "text": "", "code": "quarantined"})
    assert isinstance(ended, TurnEnded)
    assert (ended.mine, ended.status, conversation.waiting) == (True, "failed", 0)


def test_a_message_that_was_taken_after_all_is_not_refused_any_more() -> None:
    conversation = talking()
    conversation.say("hello")
    conversation.received(error("not_accepted", "id1"))
    accepted = {"type": "message_accepted", "sessionId": "s", "seq": 1, "messageId": "id1", "text": "hello"}
    (_, taken) = conversation.received(accepted)
    assert isinstance(taken, MessageTaken)
    assert taken.mine
    assert (conversation.waiting, conversation.refused) == (1, ())


def test_an_error_that_names_no_message_of_ours_takes_none_away() -> None:
    conversation = talking()
    conversation.say("hello")
    conversation.received(error("bad_json"))
    conversation.received(error("busy", "somebody else's"))
    assert (conversation.waiting, conversation.refused) == (1, ())


def test_only_so_many_refusals_are_remembered() -> None:
    conversation = talking()
    for number in range(1, REMEMBERED_REFUSALS + 2):
        conversation.say(f"text {number}")
        conversation.received(error("busy", f"id{number}"))
    assert (len(conversation.refused), conversation.refused[0].text) == (REMEMBERED_REFUSALS, "text 2")


def test_what_has_become_of_each_message_can_be_seen() -> None:
    conversation = talking()
    for number in (1, 2, 3):
        conversation.say(f"text {number}")
    for number in (1, 2):
        fields = {"seq": number, "messageId": f"id{number}", "text": f"text {number}", "queued": number - 1}
        conversation.received({"type": "message_accepted", "sessionId": "s", **fields})
    began = {"type": "turn_started", "sessionId": "s", "turnId": "t", "attempt": 1}
    conversation.received({**began, "seq": 3, "messageId": "id1"})
    assert conversation.fates == [
        ("text 1", "is being answered"),
        ("text 2", "waits for its turn"),
        ("text 3", "on its way"),
    ]
    conversation.disconnected()
    assert conversation.fates[2] == ("text 3", "goes out when the connection stands")


def test_the_answer_to_what_had_to_wait_says_whose_it_is() -> None:
    conversation = talking()
    for number, queued in ((1, 0), (2, 1)):
        conversation.say(f"text {number}")
        fields = {"seq": number, "messageId": f"id{number}", "text": f"text {number}", "queued": queued}
        conversation.received({"type": "message_accepted", "sessionId": "s", **fields})
    began = {"type": "turn_started", "sessionId": "s", "attempt": 1}
    first = conversation.received({**began, "seq": 3, "turnId": "t1", "messageId": "id1"})
    second = conversation.received({**began, "seq": 4, "turnId": "t2", "messageId": "id2"})
    again = conversation.received({**began, "seq": 5, "turnId": "t2", "messageId": "id2", "attempt": 2})
    assert [
        [each for each in effects if isinstance(each, AnswerBegan)] for effects in (first, second, again)
    ] == [
        [],
        [AnswerBegan(text="text 2")],
        [],
    ]
