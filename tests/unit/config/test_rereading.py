"""What a running gateway takes of a configuration that has changed, and that it takes nothing of a broken one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from openclaw_actors.config import GatewayConfig, load
from openclaw_actors.config.origin import Origin, stamps_of
from openclaw_actors.config.rereading import Reread, reread
from openclaw_actors.config.secrets import resolve, travelling, vault_content, without_values
from openclaw_actors.config.vault import fill_vault, vault_path

RUNS = int(os.environ.get("OPENCLAW_FUZZ_CONFIGURATIONS", "1000"))
BEGIN = """
port: 81
auth_token: env:TOKEN
llm: {provider: openai, api_key: raw:hunter2}
sessions: {max_live: 5}
"""


class Running:
    """A gateway as `start` leaves it: what is in force, and where it came from."""

    def __init__(self, directory: Path, text: str = BEGIN, **environ: str) -> None:
        self.file = directory / "g.yaml"
        self.file.write_text(text)
        self.environ = {"HOME": str(directory), "TOKEN": "hunter1", **environ}
        self.overrides = {"state_dir": str(directory / "state")}
        loaded = load(self.file, self.environ, self.overrides)
        hidden = tuple(sorted({"TOKEN"} | {name for name in environ if name.startswith("OPENCLAW__")}))
        self.vaults = [fill_vault(vault_content(loaded.config, self.environ, hidden), b"null")]
        at = vault_path(self.vaults[0])
        for name in hidden:
            del self.environ[name]
        self.config = without_values(loaded.config)
        self.secrets = travelling(self.config, self.environ, at)
        self.origin = Origin(
            file=str(self.file),
            overrides=self.overrides,
            vault=at,
            hidden=hidden,
            stamps=stamps_of(self.secrets),
        )

    def reread(self, text: str | bytes | None = None) -> Reread:
        if text is not None:
            self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        found = reread(self.origin, self.environ, self.config, self.secrets)
        if found.vault >= 0:
            self.vaults.append(found.vault)
        return found

    def take(self, found: Reread) -> None:
        self.config, self.secrets, self.origin = found.config, found.secrets, found.origin

    def close(self) -> None:
        for each in self.vaults:
            os.close(each)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    it = Running(tmp_path)
    yield it
    it.close()


def test_the_same_again_is_the_same_and_needs_no_new_vault(running: Running) -> None:
    found = running.reread()
    assert found.problems == ()
    assert found.config == found.wanted == running.config
    assert (found.secrets, found.origin, found.vault) == (running.secrets, running.origin, -1)
    assert found.other_values == ()


def test_a_limit_changes_and_no_secret_moves(running: Running) -> None:
    found = running.reread(BEGIN.replace("max_live: 5", "max_live: 6"))
    assert found.config.sessions.max_live == 6
    assert found.vault == -1


def test_a_value_in_the_file_gets_a_new_vault_and_is_seen_though_its_reference_is_the_same(
    running: Running,
) -> None:
    found = running.reread(BEGIN.replace("hunter2", "hunter3"))
    assert found.vault >= 0
    assert found.other_values == ("llm.api_key",)
    assert found.secrets["auth_token"].startswith(f"vault:{found.origin.vault}:")
    assert {key: resolve(ref, {}) for key, ref in found.secrets.items()} == {
        "auth_token": "hunter1",
        "llm.api_key": "hunter3",
    }
    assert "hunter" not in repr(found)
    running.take(found)
    assert running.reread().vault == -1


def test_a_variable_that_start_had_can_be_referred_to_later(tmp_path: Path) -> None:
    running = Running(tmp_path, OTHER="hunter4")
    found = running.reread(BEGIN.replace("env:TOKEN", "env:OTHER"))
    assert resolve(found.secrets["auth_token"], {}) == "hunter4"
    running.take(found)
    back = running.reread(BEGIN)  # what the first vault held went into the second
    assert resolve(back.secrets["auth_token"], {}) == "hunter1"
    (problem,) = running.reread(BEGIN.replace("env:TOKEN", "env:NEVER")).problems
    assert "NEVER is not set" in str(problem)
    running.close()


def test_variables_that_no_process_has_any_more_still_count(tmp_path: Path) -> None:
    running = Running(tmp_path, OPENCLAW__PORT="99", OPENCLAW__AUTH__TOKENS__bob="raw:hunter5")
    assert running.config.port == 99
    found = running.reread("port: 82\nauth_token: env:TOKEN\n")
    assert found.problems == ()
    assert found.config.port == 99
    assert resolve(found.secrets["auth.tokens.bob"], {}) == "hunter5"
    running.close()


def test_a_file_with_another_secret_in_it_is_seen(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    running = Running(tmp_path, BEGIN.replace("env:TOKEN", f"file:{secret}"))
    assert running.reread().other_values == ()
    secret.write_text("another")
    found = running.reread()
    assert found.other_values == ("auth_token",)
    running.take(found)
    assert running.reread().other_values == ()
    running.close()


def test_what_only_another_start_changes_stays_with_all_that_follows_from_it(running: Running) -> None:
    running.overrides.pop("state_dir")
    running.origin = msgspec.structs.replace(running.origin, overrides={})
    found = running.reread(f"{BEGIN}state_dir: /elsewhere\ngraceful_shutdown_seconds: 3\n")
    assert found.wanted.state_dir == "/elsewhere"
    assert found.wanted.workspace == "/elsewhere/workspace"
    for name in ("state_dir", "workspace", "memory", "tooling"):
        assert getattr(found.config, name) == getattr(running.config, name), name
    assert found.config.graceful_shutdown_seconds == 3


def test_the_command_line_still_wins(running: Running) -> None:
    running.origin = msgspec.structs.replace(running.origin, overrides={**running.overrides, "port": 7})
    assert running.reread("port: 82\n").config.port == 7


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_a_file_that_is_just_being_written_is_not_taken_for_the_defaults(running: Running, text: str) -> None:
    (problem,) = running.reread(text).problems
    assert "the file is empty" in str(problem)
    assert running.reread("{}").problems == ()


def test_more_sessions_than_the_open_files_of_the_running_processes_are_refused(running: Running) -> None:
    (problem,) = running.reread(BEGIN.replace("max_live: 5", "max_live: 100000000")).problems
    assert problem.key == "sessions.max_live"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port: x\npord: 1\n", ["port must be", "pord is not a key"]),
        ("a: [", ["not YAML"]),
        ("auth_token: env:NOPE\n", ["NOPE is not set"]),
        ("auth_token: hunter7\n", ["auth_token must be"]),
        ("supervision: {backoff_seconds: 100}\n", ["supervision.backoff_seconds must be at most"]),
    ],
)
def test_every_reason_is_named_and_nothing_is_taken(running: Running, text: str, said: list[str]) -> None:
    found = running.reread(text)
    assert len(found.problems) == len(said)
    for problem, each in zip(found.problems, said, strict=True):
        assert each in str(problem)
    assert "hunter7" not in repr(found)
    assert (found.config, found.secrets, found.vault) == (GatewayConfig(), {}, -1)


def test_a_file_that_is_gone_is_a_problem(running: Running) -> None:
    running.file.unlink()
    (problem,) = running.reread().problems
    assert "cannot be read" in str(problem)


def broken(text: str, source: random.Random) -> bytes:
    """A configuration as a slip of the finger, a full disk or a stranger's editor leaves it."""
    data = bytearray(text.encode())
    for _ in range(source.randint(1, 4)):
        match source.randrange(6):
            case 0:
                del data[source.randrange(len(data) + 1) :]
            case 1 if data:
                data[source.randrange(len(data))] = source.randrange(256)
            case 2:
                at = source.randrange(len(data) + 1)
                data[at:at] = source.choice((b": ", b"[", b"{", b"\t", b"&a *a ", b"\x00", b"- ", b"\xff"))
            case 3:
                lines = data.split(b"\n")
                source.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case 4:
                key = source.choice(("port", "auth_token", "sessions", "llm", "memory", "tooling"))
                value = source.choice(("x", "-1", "[1]", "{a: 1}", "raw:", "env:NOPE", "1e999", "null"))
                data += f"\n{key}: {value}\n".encode()
            case _:
                tree = yaml.safe_load(BEGIN)
                tree["sessions"] = source.choice((3, [], {"max_live": "many"}, {"max_life": 3}))
                data = bytearray(yaml.safe_dump(tree).encode())
    return bytes(data)


@pytest.mark.timeout(600)
def test_a_broken_configuration_never_takes_anything_and_always_says_why(running: Running) -> None:
    source = random.Random(7)
    before = (running.config, dict(running.secrets), running.origin)
    refused = 0
    for number in range(RUNS):
        found = running.reread(broken(BEGIN, source))
        assert not any("hunter" in str(each) for each in found.problems), number
        if found.problems:
            refused += 1
            assert all(str(each).strip() for each in found.problems), number
            assert found.vault == -1, number
        elif found.vault >= 0:
            os.close(running.vaults.pop())
        assert (running.config, running.secrets, running.origin) == before
    assert refused > RUNS * 0.8
    assert running.reread(BEGIN).config == running.config
