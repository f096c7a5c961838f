"""Tests that each turn stands once in the ledger, and that the day's sums survive restarts and rotation."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.drafts import absorbed, numbered, turn_began, turn_ended, user_said
from openclaw_actors.core.records import Record
from openclaw_actors.messages import Deliver, Usage, UsageNoted
from openclaw_actors.store.usage import UsageLedger, read_ledger

NOW = time.time()


def deliver(name: str, session: str) -> Deliver:
    return Deliver(
        session=session,
        delivery_id=name,
        message_id=name,
        text="hi",
        channel="websocket",
        received_at=NOW,
        correlation_id=name,
    )


class Talk:
    """A conversation whose records a ledger sees as the store applies them."""

    def __init__(self, ledger: UsageLedger, session: str = "websocket:alice:main") -> None:
        self.ledger = ledger
        self.state = Conversation(key=session)

    def write(self, *drafts: Record, at: float = NOW) -> None:
        for record in numbered(drafts, self.state, at):
            self.ledger.note(self.state, record)
            apply(self.state, record, window_turns=5)

    def turn(self, name: str, tokens: int, *, model: str = "") -> None:
        self.write(user_said(deliver(name, self.state.key), 0), turn_began(name, attempt=1))
        usage = Usage(input_tokens=tokens, output_tokens=1)
        end = turn_ended(self.state.open[0], "completed", "x", usage=usage, model=model)
        self.write(end, at=NOW + 2.5)


def test_a_turn_is_one_line_that_says_whose_it_was_and_what_it_took(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path, "a-model")
    talk = Talk(ledger)
    talk.turn("m1", 10)
    talk.state.settings["model"] = "another"
    talk.turn("m2", 20)
    talk.turn("m3", 30, model="stand-in")
    ledger.close()
    first, second, third = read_ledger(tmp_path)
    assert third.model == "stand-in"
    assert (first.session, first.principal, first.turn) == ("websocket:alice:main", "alice", "turn-m1")
    assert (first.model, first.tokens_in, first.tokens_out) == ("a-model", 10, 1)
    assert (first.seconds, first.status) == (pytest.approx(2.5, abs=0.01), "completed")
    assert second.model == "another"
    assert (tmp_path / "usage.jsonl").stat().st_mode & 0o777 == 0o600


def test_commands_and_messages_that_others_answer_are_no_turns(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path, "m")
    talk = Talk(ledger)
    talk.write(user_said(deliver("c1", talk.state.key), 0, command=True))
    talk.write(turn_ended(talk.state.commands[0], "completed", "done"))
    for name in ("m1", "m2"):
        talk.write(user_said(deliver(name, talk.state.key), 0))
    talk.write(*absorbed(talk.state.open[1], talk.state.open[:1], "collected"))
    talk.write(turn_began("m2", attempt=1))
    talk.write(turn_ended(talk.state.open[0], "stopped", "", usage=Usage(input_tokens=3)))
    ledger.close()
    assert [(line.turn, line.status, line.tokens_in) for line in read_ledger(tmp_path)] == [
        ("turn-m2", "stopped", 3)
    ]


def test_the_days_sums_survive_a_restart_and_lines_that_were_torn(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path, "m")
    Talk(ledger).turn("m1", 9)
    Talk(ledger, "sms:+1555").turn("m2", 19)
    call = UsageNoted(
        caller="http:alice", model="m", usage=Usage(input_tokens=5), seconds=1.0, status="completed", at=NOW
    )
    ledger.note_call(call)
    ledger.close()
    with (tmp_path / "usage.jsonl").open("ab") as file:
        file.write(b'{"at": 17')
    again = UsageLedger(tmp_path, "m")
    assert again.today(None).principals == {"alice": 15, "sms:+1555": 20}
    assert again.today("alice").principals == {"alice": 15}
    assert again.today(None).total == 35
    assert again.today("nobody").principals == {"nobody": 0}


def test_files_are_set_aside_and_the_day_goes_on_in_the_next(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path, "m", max_bytes=2_000)
    talk = Talk(ledger)
    for number in range(50):
        talk.turn(f"m{number}", 9)
    ledger.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert "usage.jsonl.3" in files
    assert all(path.stat().st_size < 3_000 for path in tmp_path.iterdir())
    assert len(list(read_ledger(tmp_path))) == 50
    assert UsageLedger(tmp_path, "m", max_bytes=2_000).today(None).principals == {"alice": 500}


def test_what_was_used_yesterday_does_not_count_today(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path, "m")
    call = UsageNoted(
        caller="http:alice",
        model="m",
        usage=Usage(input_tokens=5),
        seconds=1.0,
        status="completed",
        at=NOW - 86_400,
    )
    ledger.note_call(call)
    ledger.close()
    assert UsageLedger(tmp_path, "m").today(None).principals == {}
