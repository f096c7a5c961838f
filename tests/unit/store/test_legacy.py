"""Conversations that OpenClaw.NET left, under encoded, hashed and plain names."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.messages.persistence import ListSessions
from openclaw_actors.store.legacy import LegacySessions
from openclaw_actors.store.loading import Finder
from openclaw_actors.store.numbers import NumbersBook
from openclaw_actors.store.options import Counters
from tests.unit.store.scene import (
    Faults,
    as_json,
    journal_of,
    opened,
    options,
    refused,
    reopen,
    run,
    snapshot_of,
    turn,
)

SMS = "sms:+15551234567"


def old_session(key: str, *, count: int = 2) -> bytes:
    history = []
    for index in range(count):
        history.append(
            {"role": "user", "content": f"q{index}", "timestamp": "2026-02-20T10:11:12.1234567+00:00"}
        )
        history.append(
            {"role": "assistant", "content": f"a{index}", "timestamp": "2026-02-20T10:11:13+00:00"}
        )
    whole = {
        "id": key,
        "channelId": "sms",
        "senderId": "x",
        "history": history,
        "state": 2,
        "totalInputTokens": 7,
    }
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def sessions(path: Path) -> Path:
    directory = path / "memory" / "sessions"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def hashed(key: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (SMS, encoded(SMS)),
        (SMS, SMS),
        ("sms:" + "9" * 300, hashed("sms:" + "9" * 300)),
        ("telegram:café", "telegram:café"),
        (SMS, "renamed by hand"),
    ],
    ids=["encoded", "plain", "hashed", "plain with accents", "renamed"],
)
def test_a_conversation_goes_on_with_its_full_history(tmp_path: Path, key: str, name: str) -> None:
    data = old_session(key)
    (sessions(tmp_path) / f"{name}.json").write_bytes(data)

    async def scene() -> None:
        with opened(tmp_path) as store:
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert [each.session for each in page.sessions] == [key]
            session = await store.open_session(key)
            state = decode_state(session.state)
            assert [(each.user, each.answer) for each in state.window] == [("q0", "a0"), ("q1", "a1")]
            assert state.usage.input_tokens == 7
            assert store.counters.migrated == 1
            number = state.number
            later = turn(2)[0]
            assert later.number == number + 1
            await store.append(key, session.token, (later,), keep=False)
            assert await store.flush(deadline_s=10)
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert [(each.session, each.turns) for each in page.sessions] == [(key, 2)]
        assert (await reopen(tmp_path, key)).turns == 2

    run(scene())
    assert [path.read_bytes() for path in (tmp_path / "memory" / "legacy").iterdir()] == [data]


@pytest.mark.parametrize("principal", ["local", "default"])
def test_a_web_socket_session_belongs_to_who_needs_no_name(tmp_path: Path, principal: str) -> None:
    (sessions(tmp_path) / f"{encoded('websocket:0HN7')}.json").write_bytes(old_session("websocket:0HN7"))
    assert run(reopen(tmp_path, f"websocket:{principal}:0HN7")).turns == 2
    assert run(reopen(tmp_path, "websocket:alice:0HN7")).turns == 0


@pytest.mark.parametrize("name", [encoded(SMS), SMS], ids=["encoded", "plain"])
@pytest.mark.parametrize(
    "data", [b"", b"{", b"\0" * 500, b'{"id":"' + SMS.encode() + b'","history":7}', b"[]"]
)
def test_a_file_that_cannot_be_understood_is_set_aside_and_its_sender_told(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (sessions(tmp_path) / f"{name}.json").write_bytes(data)

    async def scene() -> None:
        with opened(tmp_path) as store:
            assert (await refused(store.read_newest(SMS, 1))).code == "corrupt"
            assert (await refused(store.open_session(SMS))).code == "corrupt"
            token = (await store.open_session(SMS)).token
            await store.append(SMS, token, turn(0), keep=False)
            assert await store.flush(deadline_s=10)
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert sorted(each.state for each in page.sessions) == ["quarantined", "stored"]

    run(scene())
    assert [path.read_bytes() for path in sessions(tmp_path).glob("*.quarantined-*")] == [data]


def test_an_old_file_under_this_keys_name_that_holds_another_conversation_is_not_harmed(
    tmp_path: Path,
) -> None:
    """As a file system that ignores case left it."""
    data = old_session("sms:+1999")
    (sessions(tmp_path) / f"{encoded(SMS)}.json").write_bytes(data)

    async def scene() -> None:
        with opened(tmp_path) as store:
            token = (await store.open_session(SMS)).token
            await store.append(SMS, token, turn(0), keep=False)
            assert await store.flush(deadline_s=10)
        assert (await reopen(tmp_path, SMS)).turns == 1

    run(scene())
    assert (sessions(tmp_path) / f"{encoded(SMS)}.json").read_bytes() == data


@pytest.mark.parametrize("key", ["../outside", "../../outside", "/etc/outside", "a/../../outside"])
def test_no_path_is_made_from_an_id(tmp_path: Path, key: str) -> None:
    sessions(tmp_path)
    victims = [tmp_path / "outside.json", tmp_path / "memory" / "outside.json"]
    for victim in victims:
        victim.write_bytes(old_session(key))
    (sessions(tmp_path) / "a.json").write_bytes(old_session(SMS))
    assert run(reopen(tmp_path, key)).turns == 0
    assert all(victim.read_bytes() == old_session(key) for victim in victims)


def test_an_id_inside_that_looks_like_a_path_is_only_a_key(tmp_path: Path) -> None:
    (sessions(tmp_path) / "x.json").write_bytes(old_session("../../evil"))
    assert run(reopen(tmp_path, "../../evil")).turns == 2
    assert not any("evil" in path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", [encoded(SMS), SMS], ids=["encoded", "plain"])
def test_a_crash_in_the_middle_of_a_take_over_is_finished_by_the_next_start(
    tmp_path: Path, name: str
) -> None:
    data = old_session(SMS)
    old = sessions(tmp_path) / f"{name}.json"
    old.write_bytes(data)
    before = run(reopen(tmp_path, SMS))
    (tmp_path / "memory" / "legacy" / old.name).rename(old)  # as if it had not been moved yet

    async def scene() -> None:
        with opened(tmp_path) as store:
            assert as_json(decode_state((await store.open_session(SMS)).state)) == as_json(before)
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert [each.session for each in page.sessions] == [SMS]
            await store.close_session(SMS, (await store.open_session(SMS)).token)
        assert as_json(await reopen(tmp_path, SMS)) == as_json(before)

    run(scene())
    assert (tmp_path / "memory" / "legacy" / old.name).read_bytes() == data
    assert snapshot_of(tmp_path, SMS).exists()


def test_what_cannot_be_moved_is_an_error_and_tried_again(tmp_path: Path) -> None:
    (sessions(tmp_path) / f"{encoded(SMS)}.json").write_bytes(old_session(SMS))
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.fail("rename", errno.ENOSPC, path="sessions")
            assert (await refused(store.open_session(SMS))).code == "unavailable"
            files.heal()
            assert decode_state((await store.open_session(SMS)).state).turns == 2

    run(scene())


def test_nothing_old_is_read_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(50):
        key = f"sms:+1{index}"
        (sessions(tmp_path) / f"{encoded(key) if index % 2 else key}.json").write_bytes(old_session(key))
    reads: list[str] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (reads.append(self.name), real(self))[1])
    files = Faults()
    legacy = LegacySessions(tmp_path / "memory", files)
    assert reads == []
    found = legacy.find("sms:+13")
    assert found is not None
    assert len(reads) == 1
    assert len(legacy.ids()) == 50


def test_finder_takes_the_plain_name(tmp_path: Path) -> None:
    sessions(tmp_path)
    with_store = options(tmp_path)

    async def scene() -> None:
        with opened(tmp_path):
            pass

    run(scene())
    finder = Finder(
        with_store,
        Counters(),
        Faults(),
        LegacySessions(with_store.path, Faults()),
        NumbersBook(with_store.path, Faults()),
    )
    assert finder.find(SMS, False).journal == journal_of(tmp_path, SMS)
