"""The router's rehearsal is a whole conversation, and leaves no trace in the router's process or its log."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path

import msgspec
import pytest

from openclaw_actors import logs
from openclaw_actors.actors import session_blueprint, session_rehearsal
from openclaw_actors.actors.session_blueprint import blueprint_of, prepare_sessions
from openclaw_actors.actorsystem import DEFAULT_LIMITS
from openclaw_actors.config import GatewayConfig, encode

pytestmark = pytest.mark.usefixtures("restored_logging")


@pytest.fixture
def settings(tmp_path: Path) -> bytes:
    return encode(GatewayConfig(state_dir=str(tmp_path), workspace=str(tmp_path / "workspace")))


def rehearse(settings: bytes, run_dir: str) -> None:
    session_rehearsal.rehearse_sessions(settings, run_dir=run_dir, limits=DEFAULT_LIMITS)


def test_the_conversations_come_to_their_end(
    settings: bytes, run_dir: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger=session_rehearsal.__name__):
        rehearse(settings, run_dir)

    assert [record.levelname for record in caplog.records if record.name == session_rehearsal.__name__] == [
        "INFO"
    ]
    assert os.listdir(run_dir) == []


def test_the_process_stays_the_routers(settings: bytes, run_dir: str, tmp_path: Path) -> None:
    logs.install(tmp_path / "log", process="router", level="debug", stderr_level="off")
    before = os.sched_getscheduler(0), resource.getrlimit(resource.RLIMIT_DATA)
    rehearse(settings, run_dir)
    logging.getLogger("openclaw_actors.x").info("after it")

    assert (os.sched_getscheduler(0), resource.getrlimit(resource.RLIMIT_DATA)) == before
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line for line in lines if "rehearsal" in line and "rehearsed" not in line] == []
    assert "router[" in lines[-1]
    assert "session=" not in lines[-1]


def test_one_that_fails_is_told_of_and_the_router_goes_on(
    settings: bytes, run_dir: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_rehearsal._Everybody, "asked", lambda self, message: 1 / 0)
    rehearse(settings, run_dir)

    assert "sessions were not rehearsed" in caplog.text
    assert os.listdir(run_dir) == []


def test_a_failure_is_told_by_the_router(
    settings: bytes, run_dir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.install(tmp_path / "log", process="router", stderr_level="off")
    monkeypatch.setattr(session_rehearsal._Everybody, "asked", lambda self, message: 1 / 0)
    rehearse(settings, run_dir)

    told = [line for line in (tmp_path / "log").read_text().splitlines() if "not rehearsed" in line]
    assert [("router[" in line, "session=" in line) for line in told] == [(True, False)]


def test_a_machine_that_is_slow_has_one_conversation_only(
    settings: bytes, run_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    had: list[object] = []
    rehearsal = session_rehearsal.rehearse
    monkeypatch.setattr(session_rehearsal, "_ENOUGH_S", -1.0)
    monkeypatch.setattr(
        session_rehearsal, "rehearse", lambda *what, **how: (had.append(what), rehearsal(*what, **how))
    )
    rehearse(settings, run_dir)

    assert len(had) == 1


def test_one_that_is_not_over_in_time_is_a_warning(
    settings: bytes, run_dir: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_rehearsal, "_TIMEOUT_S", 0.05)
    monkeypatch.setattr(session_rehearsal._Everybody, "begin", lambda self: [])
    rehearse(settings, run_dir)

    (line,) = [each for each in caplog.records if each.name == session_rehearsal.__name__]
    assert (line.levelname, "not over" in line.getMessage()) == ("WARNING", True)


def test_a_session_begins_with_what_was_made_for_its_configuration(settings: bytes) -> None:
    prepare_sessions(settings)
    prepared = blueprint_of(settings)

    assert blueprint_of(settings) is prepared
    other = encode(msgspec.structs.replace(prepared.config, port=1))
    assert blueprint_of(other) is not prepared
    assert blueprint_of(other).config.port == 1


def test_what_cannot_be_made_before_the_fork_is_left_to_each_session(
    settings: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_sessions(settings)
    with monkeypatch.context() as broken:
        broken.setattr(session_blueprint, "SystemPrompt", lambda config: 1 / 0)
        prepare_sessions(settings)

    assert "sessions cannot be prepared" in caplog.text
    assert blueprint_of(settings) is not blueprint_of(settings), "each makes its own"


def test_without_a_watch_a_session_sees_the_skills_that_there_are_when_it_begins(
    settings: bytes, tmp_path: Path
) -> None:
    config = blueprint_of(settings).config
    load = msgspec.structs.replace(config.skills.load, watch=False)
    skills = msgspec.structs.replace(config.skills, load=load)
    settings = encode(msgspec.structs.replace(config, skills=skills))
    prepare_sessions(settings)
    skill = tmp_path / "workspace" / "skills" / "late"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: late\ndescription: Came late.\n---\nDo it.\n")

    system = blueprint_of(settings).system_prompt
    system.refresh()

    assert "Came late." in system.message.text
