"""The log: one line an event, nothing secret in it, shared by processes, rotated by one of them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from openclaw_actors import logs

pytestmark = pytest.mark.usefixtures("restored_logging")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "gateway.log"


def install(path: Path, **options: str) -> logging.Logger:
    logs.install(path, process="test", **{"stderr_level": "off", **options})  # type: ignore[arg-type]
    return logging.getLogger("openclaw_actors.some")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


# Lines


def test_a_human_line_says_when_who_and_what(path: Path) -> None:
    logger = install(path)
    with logs.bind(correlation="abc", session="websocket:local:main"):
        logger.warning("session %s passivated", "k", extra={"event": "passivated"})
    (line,) = lines(path)
    assert line[10] == "T"
    assert line[23] == "Z"
    assert line[25:] == (
        f"WARNING test[{os.getpid()}] openclaw_actors.some"
        " corr=abc session=websocket:local:main event=passivated session k passivated"
    )


def test_a_json_line_has_the_same_fields(path: Path) -> None:
    logger = install(path, form="json")
    with logs.bind(correlation="abc", session="s"):
        logger.error("gone", extra={"event": "x"})
    (line,) = lines(path)
    fields = json.loads(line)
    assert fields.pop("ts").endswith("Z")
    assert fields == {
        "level": "error",
        "logger": "openclaw_actors.some",
        "process": "test",
        "pid": os.getpid(),
        "correlation": "abc",
        "session": "s",
        "event": "x",
        "text": "gone",
    }


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_line_may_bring_its_own_correlation(path: Path, form: str) -> None:
    logger = install(path, form=form)
    logger.critical("crashes", extra={"correlation_id": "abc"})
    logger.critical("crashes too", extra={"correlation_id": None})
    first, second = lines(path)
    assert "corr=abc" in first or json.loads(first)["correlation"] == "abc"
    assert "corr" not in second


def test_marks_end_with_their_block(path: Path) -> None:
    logger = install(path)
    with logs.bind(correlation="outer"):
        with logs.bind(session="s"):
            assert logs.correlation_id.get() == "outer"
        assert logs.session_key.get() == ""
    logger.warning("after")
    assert "corr=" not in lines(path)[0]


def test_a_process_of_one_session_marks_every_line_with_it(path: Path) -> None:
    logger = install(path)
    logs.serve_session("websocket:local:main")
    try:
        logger.warning("its own")
        with logs.bind(session="another"):
            logger.warning("for another")
    finally:
        logs.serve_session("")
    logger.warning("nobody's")
    own, other, nobodys = lines(path)
    assert " session=websocket:local:main " in own
    assert " session=another " in other
    assert "session=" not in nobodys


@pytest.mark.parametrize("form", ["human", "json"])
def test_an_event_is_one_line_whatever_it_holds(path: Path, form: str) -> None:
    logger = install(path, form=form)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logger.exception("turn %s\nfailed\r\x1b[31m", "t")
    (line,) = lines(path)
    assert "ValueError" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("form", ["human", "json"])
@pytest.mark.parametrize("break_", ["\n", "\r\n", "\x0b", "\x1c", "\x85", "\u2028", "\u2029", "\x9b31m"])
def test_nothing_that_any_reader_takes_for_a_line_break_is_left(path: Path, form: str, break_: str) -> None:
    install(path, form=form).warning("one%stwo", break_)
    written = path.read_text()
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    if form == "json":
        assert json.loads(written)["text"] == f"one{break_}two"


@pytest.mark.parametrize("shift", ["", "x"])  # one of them has the cut in the middle of a character
@pytest.mark.parametrize("form", ["human", "json"])
def test_a_huge_event_is_cut_and_stays_well_formed(path: Path, form: str, shift: str) -> None:
    install(path, form=form).warning("%s", shift + "ü" * 100_000)
    (line,) = lines(path)
    assert len(line.encode()) < 17_000
    if form == "json":
        fields = json.loads(line)
        assert (fields["level"], fields["pid"]) == ("warning", os.getpid())


def test_a_format_that_does_not_fit_is_logged_all_the_same(path: Path) -> None:
    install(path).warning("%d things", "no number")
    assert "not formatted: TypeError" in lines(path)[0]


def test_undecodable_text_is_no_reason_to_raise(path: Path) -> None:
    install(path, form="json").warning("%s", "\udc80")
    assert json.loads(lines(path)[0])["text"] == "\udc80"


def test_the_default_level_leaves_out_what_is_normal(path: Path) -> None:
    logger = install(path)
    logger.info("turn done")
    assert not path.exists()


def test_libraries_stay_quiet_even_at_debug(path: Path) -> None:
    install(path, level="debug")
    logging.getLogger("websockets.server").debug("< TEXT 'what a person wrote'")
    logging.getLogger("aiohttp.access").info("GET /")
    assert not path.exists()


# Redaction


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2hunter2",
        "authorization: basic aHVudGVyMmh1bnRlcjI=",
        "key sk-hunter2hunter2",
        "GET /ws?x=1&token=hunter2hunter2",
        "protocols openclaw.token.hunter2hunter2, openclaw.v2",
        "OPENAI_API_KEY=hunter2hunter2",
        "llm.api_key: hunter2hunter2",
        "password: hunter2hunter2",
        "auth_token raw:hunter2hunter2",
        "http://user:hunter2hunter2@proxy.example/",
        "Authorization: Bearer a!b:hunter2hunter2",
        "GET /ws?token=hunter2hunter2&x=1 HTTP/1.1",
        "GET /v1?x=1&api_key=hunter2hunter2#top",
        '{"api_key": "hunter2 hunter2", "model": "m"}',
        '{"token": "a\\"hunter2"}',
        "{'x-api-key': 'hunter2hunter2'}",
        "{'Authorization': 'hunter2hunter2'}",
        "key gsk_hunter2hunter2",
        "key AIzaSyhunter2hunter2hunter2hunter2",
        "jwt eyJhbGciOiJIUzI1NiJ9.hunter2.hunter2",
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str) -> None:
    redacted = logs.redact(text)
    assert "hunter2" not in redacted
    assert "aHVudGVy" not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "session websocket:local:main passivated",
        "key path is llm.model",
        "task-force asked",
        "risk-averse",
        "4096 tokens: cut",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert logs.redact(text) == text


def test_a_registered_value_is_left_out_of_message_traceback_and_session(path: Path) -> None:
    logs.register_secrets(["correct horse", "abc"])
    logger = install(path)
    with logs.bind(session="x correct horse"):
        try:
            raise ValueError("correct horse")
        except ValueError:
            logger.exception("abc is too short to be one: %s", "correct horse")
    (line,) = lines(path)
    assert "correct horse" not in line
    assert "abc is too short" in line


@pytest.mark.parametrize("secrets", [["open", "open sesame"], ["open sesame", "open"]], ids=["up", "down"])
def test_a_secret_that_begins_another_leaves_nothing_of_it(secrets: list[str]) -> None:
    logs.register_secrets(secrets)
    assert logs.redact("say open sesame, or open") == "say ***, or ***"


def test_secrets_are_kept_out_of_the_json_form_too(path: Path) -> None:
    logs.register_secrets(['quo"te'])
    with logs.bind(session='s quo"te'):
        install(path, form="json").error("Bearer hunter2hunter2 %s", {"k": 'quo"te'})
    (line,) = lines(path)
    assert "hunter2" not in line
    assert "quo" not in line
    assert json.loads(line)["session"] == "s ***"


# The storm guard


def test_the_guard_lets_a_few_of_a_kind_through_and_counts_the_rest() -> None:
    guard = logs.StormGuard(allowed=2, window_s=10)
    assert [guard.admit("a", 0.0)[0] for _ in range(5)] == [True, True, False, False, False]
    assert guard.admit("b", 1.0) == (True, 0)
    assert guard.admit("a", 10.0) == (True, 3)
    assert guard.admit("a", 10.1) == (True, 0)


def test_the_guard_forgets_the_oldest_text() -> None:
    guard = logs.StormGuard(allowed=1, max_texts=2)
    for text in ("a", "b", "c"):
        guard.admit(text, 0.0)
    assert guard.admit("a", 0.0) == (True, 0)


def test_a_storm_writes_few_lines(path: Path) -> None:
    logger = install(path)
    for number in range(1000):
        logger.warning("disk full")
        if number % 500 == 0:
            logger.warning("another")
    assert len(lines(path)) == 7


# The shared file


def test_a_rotation_by_another_process_is_followed(path: Path) -> None:
    logger = install(path)
    logger.warning("one")
    assert logs.rotate_if_needed(path, max_bytes=1, backups=2)
    logger.warning("two")
    assert "one" in path.with_name("gateway.log.1").read_text()
    assert "two" in path.read_text()


def test_old_logs_move_up_and_the_oldest_goes(path: Path) -> None:
    logger = install(path)
    for number in range(4):
        logger.warning("line %s", number)
        assert logs.rotate_if_needed(path, max_bytes=1, backups=2)
    kept = {each.name: each.read_text().split()[-1] for each in path.parent.iterdir()}
    assert kept == {"gateway.log.1": "3", "gateway.log.2": "2"}


def test_without_backups_the_log_begins_anew(path: Path) -> None:
    install(path).warning("line")
    assert logs.rotate_if_needed(path, max_bytes=1, backups=0)
    assert list(path.parent.iterdir()) == []


def test_a_small_or_missing_log_is_left_alone(path: Path) -> None:
    assert not logs.rotate_if_needed(path, max_bytes=1, backups=1)
    install(path).warning("line")
    assert not logs.rotate_if_needed(path, max_bytes=10_000, backups=1)


def test_the_file_is_private_and_comes_back_when_its_directory_is_deleted(path: Path) -> None:
    logger = install(path)
    logger.warning("one")
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.parent.rmdir()
    logger.warning("two")
    assert "two" in path.read_text()


def test_a_log_that_cannot_be_written_is_counted_and_stops_nobody(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    logger = install(blocker / "gateway.log")
    logger.warning("lost")
    assert logs._shared_file(blocker / "gateway.log").lost_lines == 1


def test_a_full_disk_tears_no_later_line() -> None:
    file = logs.SharedFile(Path("/dev/full"))
    file.write(b"lost\n")
    assert file.lost_lines == 1


def test_lines_of_many_forks_stay_whole(path: Path) -> None:
    """Several forked processes write while the file is rotated under them: no line is torn or lost."""
    script = textwrap.dedent(
        """
        import logging, os, sys
        from pathlib import Path
        from openclaw_actors import logs
        path = Path(sys.argv[1])
        logs.install(path, process="parent", stderr_level="off")
        logging.getLogger("x").warning("opened")
        children = []
        for child in range(4):
            pid = os.fork()
            if pid == 0:
                os.closerange(3, 64)
                logs.install(path, process=f"child{child}", stderr_level="off")
                for number in range(200):
                    logging.getLogger("x").warning("child %s line %s %s", child, number, "x" * 500)
                os._exit(0)
            children.append(pid)
        while children:
            logs.rotate_if_needed(path, max_bytes=20_000, backups=100)
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                children.remove(pid)
        """
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=30)
    found = [line for each in path.parent.iterdir() for line in lines(each)]
    assert len(found) == 801
    assert all(line.endswith("x" * 500) for line in found if " opened" not in line)


# Standard error, and what Thespian does


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_warnings_reach_standard_error_in_human_form(path: Path) -> None:
    done = run_script(
        """
        import logging, sys
        from pathlib import Path
        from openclaw_actors import logs
        logs.install(Path(sys.argv[1]), process="start", level="debug", form="json")
        logging.getLogger("x").info("quiet")
        logging.getLogger("x").warning("loud")
        """,
        str(path),
    )
    assert done.stderr.count("\n") == 1
    assert " WARNING start[" in done.stderr
    assert [json.loads(line)["text"] for line in lines(path)] == ["quiet", "loud"]


def test_a_pipe_that_nobody_reads_blocks_nothing(path: Path) -> None:
    read_end, write_end = os.pipe()
    script = """
        import logging, sys
        from pathlib import Path
        from openclaw_actors import logs
        logs.install(Path(sys.argv[1]), process="start")
        for number in range(2000):
            logging.getLogger("x").warning("line %s %s", number, "x" * 100)
        """
    try:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(path)],
            stderr=write_end,
            timeout=30,
            check=True,
        )
    finally:
        os.close(read_end)
        os.close(write_end)
    assert len(lines(path)) == 2000


def test_loggers_obtained_before_thespian_replaced_the_root_work_again(path: Path) -> None:
    early = logging.getLogger("openclaw_actors.early")
    original_root, original_manager = logging.root, logging.Logger.manager
    try:
        logging.root = logging.Logger.root = logging.RootLogger(logging.WARNING)  # type: ignore[misc]
        logging.Logger.manager = logging.Manager(logging.root)
        install(path)
        early.warning("early")
        logging.getLogger("late").warning("late")
    finally:
        logging.root = logging.Logger.root = original_root  # type: ignore[misc]
        logging.Logger.manager = original_manager
    assert [line.split()[-1] for line in lines(path)] == ["early", "late"]
