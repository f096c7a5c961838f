"""Checks where a conversation connects, above all that it never goes to a gateway that was not meant."""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks, write_record
from openclaw_actors.cli import link as link_module
from openclaw_actors.cli.conversation import Conversation
from openclaw_actors.cli.link import Link, LinkRefused, Target, trust_of, websocket_target
from openclaw_actors.config import Loaded, load
from openclaw_actors.errors import NotRunning
from tests.authority import Authority


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


def test_with_tls_it_is_the_certificate_of_the_running_gateway_that_counts(short_path: Path) -> None:
    run = short_path / "run"
    running(short_path, "0.0.0.0:5000")
    record = (run / "current.json").read_text().replace('"certificate":""', '"certificate":"/c.pem"')
    (run / "current.json").write_text(record)
    assert websocket_target(loaded_with(short_path)) == Target(
        url="wss://127.0.0.1:5000/ws", certificate="/c.pem", running=True
    )


def test_without_a_certificate_in_its_file_nothing_is_trusted(tmp_path: Path) -> None:
    assert trust_of("") is None
    with pytest.raises(LinkRefused, match=r"tls\.certificate must be "):
        trust_of(str(tmp_path / "none.pem"))


@pytest.mark.parametrize("of", ["another authority", "the same authority"])
def test_who_shows_another_certificate_is_told_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """The commands trust the gateway's certificate and no other, whoever issued it and whatever its name."""
    monkeypatch.setattr(link_module, "STRANGE_FOR_S", 0.0)
    ours = Authority(tmp_path / "ours")
    ours.issue()
    mine = tmp_path / "mine.pem"
    mine.write_bytes(ours.certificate.read_bytes())
    shown = Authority(tmp_path / "theirs") if of == "another authority" else ours
    shown.issue()
    heard = bytearray()

    async def scene() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.extend(await reader.read())
            writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown.certificate, shown.key)
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
            target = Target(url=url, certificate=str(mine), running=True)
            client = Link(
                Conversation(session="s"),
                lambda: target,
                token="hunter2",
                show=lambda _: None,
                changed=lambda *_: None,
            )
            async with asyncio.timeout(20):
                with pytest.raises(LinkRefused) as refused:
                    await client.run()
            return str(refused.value)

    assert f"does not show the certificate in {mine}" in asyncio.run(scene())
    assert heard == b""
