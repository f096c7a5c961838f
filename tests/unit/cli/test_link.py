"""Checks where a conversation connects, above all that it never goes to a gateway that was not meant."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks, write_record
from openclaw_actors.cli.conversation import Conversation
from openclaw_actors.cli.link import Link, Target, websocket_target
from openclaw_actors.config import Loaded, load
from openclaw_actors.errors import NotRunning


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path leaves room for sockets."""
    with tempfile.TemporaryDirectory(prefix="oca-", dir="/tmp") as path:
        yield Path(path)


def loaded_with(state: Path, **overrides: object) -> Loaded:
    return load(None, {"OPENCLAW_STATE_DIR": str(state)}, {"port": 4711, **overrides})


def running(state: Path, ws: str) -> None:
    run = state / "run"
    run.mkdir()
    ticks = process_start_ticks(os.getpid()) or 0
    record = RunRecord(boot="b", pid=os.getpid(), started_ticks=ticks, run_dir="", state="ready", ws=ws)
    write_record(run, record)


def test_the_running_gateway_says_where_it_is(short_path: Path) -> None:
    running(short_path, "0.0.0.0:5000")
    assert websocket_target(loaded_with(short_path)) == Target(
        url="ws://127.0.0.1:5000/ws", certificate="", running=True
    )


def test_one_that_starts_has_not_said_where_it_is(short_path: Path) -> None:
    running(short_path, "")
    assert websocket_target(loaded_with(short_path)) == Target(url="", certificate="", running=True)


def test_without_one_the_configuration_does(tmp_path: Path) -> None:
    assert websocket_target(loaded_with(tmp_path)) == Target(
        url="ws://127.0.0.1:4711/ws", certificate="", running=False
    )


def test_a_state_directory_on_the_command_line_means_that_gateway_and_no_other(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=str(tmp_path)):
        websocket_target(loaded_with(tmp_path, state_dir=str(tmp_path)))


def link_that_knows(*targets: Target | type[NotRunning]) -> Link:
    """A link that was connected to `known`; the targets are what it is told afterwards."""
    answers = iter(targets)

    def target() -> Target:
        answer = next(answers)
        if isinstance(answer, Target):
            return answer
        raise answer

    link = Link(
        Conversation(session="s"), target, token=None, show=lambda _: None, changed=lambda _up, _why: None
    )
    link._known = KNOWN
    return link


KNOWN = Target(url="ws://127.0.0.1:5000/ws", certificate="", running=True)
MOVED = Target(url="ws://127.0.0.1:6000/ws", certificate="", running=True)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (NotRunning, KNOWN),
        (Target(url="ws://127.0.0.1:4711/ws", certificate="", running=False), KNOWN),
        (Target(url="", certificate="", running=True), KNOWN),
        (MOVED, MOVED),
    ],
    ids=["not running", "a guess", "starting", "moved"],
)
def test_while_the_known_gateway_is_away_no_other_one_will_do(
    told: Target | type[NotRunning], expected: Target
) -> None:
    assert link_that_knows(told)._current_target() == expected
