"""A short campaign of faults: whatever befalls the gateway, its promises hold; and the judge sees a broken one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.ledger import Conversation, Message, judge
from openclaw_actors.core.refusals import QUARANTINED
from tests.size import FULL

ROOT = Path(__file__).parents[2]
SECONDS = "8" if FULL else "5"


def test_a_short_campaign_keeps_every_promise(tmp_path: Path) -> None:
    outcome = tmp_path / "outcome.json"
    command = [sys.executable, "-m", "chaos", "--seed", "34", "--seconds", SECONDS, "--sessions", "6"]
    command += ["--every", "0.5", "--json", str(outcome)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(outcome.read_text())
    assert [promise["name"] for promise in document["promises"] if not promise["kept"]] == []
    assert document["said"] == document["accepted"] >= 6
    assert sum(document["faults"].values()) > 2


def test_promises_hold_beside_a_bad_provider_and_on_a_bad_disk(tmp_path: Path) -> None:
    outcome = tmp_path / "outcome.json"
    command = [sys.executable, "-m", "chaos", "--seed", "5", "--seconds", SECONDS, "--sessions", "5"]
    command += ["--every", "0.4", "--only", "provider", "--only", "disk", "--json", str(outcome)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(outcome.read_text())
    assert document["said"] == document["accepted"] >= 5
    assert {name.partition("-")[0] for name in document["faults"]} == {"provider", "disk"}


def event(kind: str, seq: int, name: str, **fields: object) -> dict[str, object]:
    return {"type": kind, "seq": seq, "messageId": name, **fields}


def receipt(seq: int, name: str) -> dict[str, object]:
    return event("message_accepted", seq, name, text="say 1", queued=0)


def end(seq: int, name: str, text: str = "echo: say 1") -> dict[str, object]:
    return event("turn_done", seq, name, status="completed", text=text)


FINE = [receipt(1, "a"), end(2, "a"), receipt(3, "b"), end(4, "b")]


@pytest.mark.parametrize(
    ("journal", "broken"),
    [
        (FINE, []),
        (FINE[:3], ["every accepted message is answered", "what was told stays true"]),
        ([*FINE, end(5, "b")], ["once", "in order"]),
        (
            [receipt(1, "b"), end(2, "b"), receipt(3, "a"), end(4, "a")],
            ["in order", "what was told stays true"],
        ),
        ([*FINE[:3], end(5, "b")], ["what was told stays true"]),
        (
            [*FINE[:3], end(4, "b", "something else")],
            ["every accepted message is answered", "what was told stays true"],
        ),
    ],
)
def test_the_judge_sees_what_is_broken(journal: list[dict[str, object]], broken: list[str]) -> None:
    conversation = Conversation("s")
    for name in "ab":
        conversation.messages[name] = Message(name, "say 1", 0.0)
    for each in FINE:
        conversation.heard(each, 1.0)
    verdict = judge([conversation], {"s": journal})
    assert [promise.name for promise in verdict if not promise.kept] == broken


@pytest.mark.parametrize(
    ("status", "text", "kept"),
    [("failed", "Sorry", True), ("completed", "echo: say 1", True), ("completed", "echo:", False)],
)
def test_the_judge_lets_a_spoiled_answer_fail_but_not_be_another(status: str, text: str, kept: bool) -> None:
    conversation = Conversation("s")
    conversation.messages["a"] = Message("a", "say 1", 0.0, spoiled=True)
    journal = [receipt(1, "a"), event("turn_done", 2, "a", status=status, text=text)]
    for each in journal:
        conversation.heard(each, 1.0)
    assert judge([conversation], {"s": journal})[0].kept is kept


@pytest.mark.parametrize(("faults", "kept"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_judge_lets_one_message_be_given_up_for_two_faults_of_sessions(faults: int, kept: bool) -> None:
    conversation = Conversation("s")
    conversation.messages["a"] = Message("a", "say 1", 0.0)
    journal = [receipt(1, "a"), event("turn_done", 2, "a", status="failed", text=QUARANTINED)]
    for each in journal:
        conversation.heard(each, 1.0)
    assert judge([conversation], {"s": journal}, session_faults=faults)[0].kept is kept


def test_the_judge_sees_a_number_that_stands_for_two_things() -> None:
    conversation = Conversation("s")
    conversation.messages["a"] = Message("a", "say 1", 0.0)
    for each in (receipt(1, "a"), end(2, "a"), end(2, "a", "otherwise")):
        conversation.heard(each, 1.0)
    verdict = judge([conversation], {"s": [receipt(1, "a"), end(2, "a")]})
    assert [promise.name for promise in verdict if not promise.kept] == ["what was told stays true"]
