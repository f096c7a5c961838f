from __future__ import annotations

from typing import Any

import pytest

from openclaw_actors.messages.outbox import Delivery
from openclaw_actors.store import boxes as boxes_module
from openclaw_actors.store.boxes import (
    Again,
    Boxes,
    Change,
    Cleared,
    Due,
    Gone,
    Step,
    decode_change,
    encode_change,
)

S = "sms:+15551234567"


def due(seq: int, after: int = 0, *, session: str = S, at: float = 1_000.0) -> Due:
    return Due(session=session, seq=seq, after=after, at=at)


def delivery(seq: int, state: Any, *, session: str = S, at: float = 1_000.0, **more: Any) -> Delivery:
    last = more.pop("last", False)
    done = last or state in ("suppressed", "ambiguous", "dead")
    return Delivery(session=session, seq=seq, state=state, at=at, since=at, done=done, **more)


def step(seq: int, state: Any, **more: Any) -> Step:
    return Step(session=more.get("session", S), delivery=delivery(seq, state, **more))


def after(*changes: Change) -> Boxes:
    boxes = Boxes()
    for change in changes:
        boxes.apply(decode_change(encode_change(change)))
    return boxes


def undelivered(boxes: Boxes) -> list[str]:
    return [session for session, box in boxes.items() if box.undelivered]


def test_a_reply_is_undelivered_from_its_notice_to_its_last_part() -> None:
    changes = [due(3), step(3, "prepared"), step(3, "sent", sids=("SM1",)), step(3, "sent", last=True)]
    for count in range(1, len(changes)):
        assert undelivered(after(*changes[:count])) == [S]
    assert undelivered(after(*changes)) == []


def test_a_reply_that_became_due_meanwhile_stays_due() -> None:
    for changes in (
        [due(3), due(6), step(3, "sent", last=True)],
        [due(3), step(3, "sent", last=True), due(6, after=5)],
    ):
        boxes = after(*changes)
        box = boxes.get(S)
        assert box is not None
        assert (box.cursor, box.due) == (3, 6)
        assert undelivered(boxes) == [S]


def test_a_void_notice_is_cleared_unless_something_became_due_since() -> None:
    assert undelivered(after(due(3), Cleared(session=S, marks=1))) == []
    assert undelivered(after(due(3), due(3), Cleared(session=S, marks=1))) == [S]


def test_a_cleared_notice_does_not_hide_the_record_that_takes_its_number() -> None:
    boxes = after(due(3, after=2), Cleared(session=S, marks=1), due(3, after=2))
    box = boxes.get(S)
    assert box is not None
    assert (box.cursor, box.due) == (2, 3)


def test_a_conversation_that_begins_anew_is_not_taken_for_the_old_one() -> None:
    boxes = after(due(30, 29), step(30, "sent", last=True), due(3, after=2))
    box = boxes.get(S)
    assert box is not None
    assert (box.cursor, box.due) == (2, 3)


@pytest.mark.parametrize("state", ["dead", "ambiguous"])
def test_what_is_set_aside_does_not_stop_later_replies(state: Any) -> None:
    boxes = after(due(3), step(3, state), due(6))
    box = boxes.get(S)
    assert box is not None
    assert (box.cursor, box.due, list(box.aside)) == (3, 6, [3])


def test_a_dead_letter_that_is_tried_again_goes_on_where_it_was() -> None:
    boxes = after(
        due(3),
        step(3, "dead", part=2, start=10, end=20, sids=("SM1",), attempts=4, code=21610),
        Again(session=S, seq=3, at=2_000.0),
    )
    box = boxes.get(S)
    assert box is not None
    again = box.again[3]
    assert (again.state, again.repeat, again.done, again.attempts) == ("retrying", False, False, 0)
    assert (again.part, again.start, again.end, again.sids, again.since) == (2, 10, 20, ("SM1",), 2_000.0)
    assert undelivered(boxes) == [S]
    assert box.aside == {}


def test_an_ambiguous_one_that_is_tried_again_is_one_that_may_have_been_sent() -> None:
    boxes = after(due(3), step(3, "ambiguous"), Again(session=S, seq=3, at=2_000.0))
    box = boxes.get(S)
    assert box is not None
    assert (box.again[3].state, box.again[3].repeat, box.again[3].since) == ("prepared", True, 1_000.0)
    boxes.apply(step(3, "confirmed", last=True))
    assert undelivered(boxes) == []
    assert box.cursor == 3


def test_what_is_tried_again_leaves_a_newer_reply_under_way_as_it_is() -> None:
    boxes = after(
        due(3), step(3, "dead"), due(6), step(6, "prepared"), Again(session=S, seq=3, at=2.0), step(3, "sent")
    )
    box = boxes.get(S)
    assert box is not None
    assert box.current is not None
    assert (box.current.seq, box.again[3].state) == (6, "sent")
    boxes.apply(step(3, "sent", last=True))
    assert (box.current.seq, box.again) == (6, {})


def test_what_is_purged_is_gone() -> None:
    boxes = after(due(3), step(3, "dead"), Gone(session=S, seq=3))
    box = boxes.get(S)
    assert box is not None
    assert box.settled


def test_settled_sessions_are_remembered_for_a_while_with_the_names_of_their_messages() -> None:
    boxes = after(due(3), step(3, "sent", last=True, sids=("SM1",), at=1_000.0))
    boxes.apply(due(1, session="sms:+2", at=1_000.0 + 3_599))
    boxes.prune()
    box = boxes.get(S)
    assert box is not None
    assert box.sids == ("SM1",)
    boxes.apply(due(2, session="sms:+2", at=1_000.0 + 3_602))
    boxes.prune()
    assert boxes.get(S) is None
    assert len(boxes) == 1


def test_what_the_outbox_knows_stays_small_over_the_years(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes_module, "_MAX_SETTLED", 100)
    monkeypatch.setattr(boxes_module, "_MAX_SET_ASIDE", 50)
    boxes = Boxes()
    for number in range(2_000):
        session = f"sms:+{number}"
        boxes.apply(due(3, session=session))
        boxes.apply(step(3, "dead" if number % 2 else "sent", last=True, session=session))
    boxes.prune()
    aside = [box for _, box in boxes.items() if box.aside]
    assert len(aside) == 50
    assert len(boxes) <= 150 + 256
    assert boxes.forgotten == 950
    assert boxes.get("sms:+1999") is not None


def test_compaction_says_the_same() -> None:
    boxes = after(
        due(3), step(3, "dead"), due(6), step(6, "prepared", start=3, end=9), due(4, session="sms:+2"),
        Again(session=S, seq=3, at=9.0),
    )  # fmt: skip
    again = Boxes()
    for change in boxes.kept():
        again.apply(decode_change(encode_change(change)))
    assert dict(again.items()) == dict(boxes.items())


def test_after_damage_everything_that_waits_is_doubted() -> None:
    boxes = after(due(3), due(3, session="sms:+2"), step(3, "sent", last=True, session="sms:+2"))
    boxes.doubt()
    assert [box.doubtful for _, box in boxes.items()] == [True, False]
