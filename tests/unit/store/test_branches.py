from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.store import FileStore
from openclaw_actors.store import branches as branches_module
from tests.unit.store.scene import KEY, as_json, opened, refused, reopen, run, turn, user

OTHER = "websocket:local:other"


async def talk(store: FileStore, key: str, *indices: int) -> int:
    token = (await store.open_session(key)).token
    for index in indices:
        await store.append(key, token, turn(index), keep=False)
    return token


def test_going_back_to_a_branch_gives_the_model_its_history_and_keeps_everything(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, KEY, 0, 1)
            branch = await store.branches.save(KEY, "before the trip")
            token = await talk(store, KEY, 2)
            assert await store.branches.restore(KEY, branch.branch) == (10, True)
            assert (await refused(store.append(KEY, token, turn(3), keep=False))).code == "fenced"
            state = decode_state((await store.open_session(KEY)).state)
            assert [each.user for each in state.window] == ["text of m0", "text of m1"]
            assert state.turns == 3
            events = await store.read_events(KEY, after_seq=0, max_events=99, max_bytes=1 << 20)
            assert [event.seq for event in events.events] == list(range(1, 10))
        assert as_json(await reopen(tmp_path)) == as_json(state)

    run(scene())


def test_branches_are_listed_newest_first_for_their_session_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, KEY, 0)
            await talk(store, OTHER, 0)
            made = [await store.branches.save(KEY, name) for name in ("a", "b")]
            foreign = await store.branches.save(OTHER, "c")
            assert [(each.name, each.turns) for each in await store.branches.of(KEY)] == [
                ("b", 1),
                ("a", 1),
            ]
            for waiting in (
                store.branches.restore(KEY, foreign.branch),
                store.branches.restore(KEY, "nothing"),
            ):
                assert (await refused(waiting)).code == "unknown"
            assert await store.branches.delete(KEY, foreign.branch) is False
            assert await store.branches.delete(KEY, made[0].branch) is True
            assert [each.name for each in await store.branches.of(KEY)] == ["b"]

    run(scene())


def test_a_branch_does_not_change_with_its_conversation(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path, window_turns=2) as store:
            await talk(store, KEY, 0, 1)
            branch = await store.branches.save(KEY, "b")
            await talk(store, KEY, 2, 3, 4)
            await store.branches.restore(KEY, branch.branch)
            state = decode_state((await store.open_session(KEY)).state)
            assert [each.user for each in state.window] == ["text of m0", "text of m1"]

    run(scene())


def test_nobody_goes_back_while_a_message_waits_for_its_answer(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            token = await talk(store, KEY, 0)
            branch = await store.branches.save(KEY, "b")
            await store.append(KEY, token, (user(4, 4, "m"),), keep=False)
            assert (await refused(store.branches.restore(KEY, branch.branch))).code == "busy"

    run(scene())


@pytest.mark.parametrize("name", ["", "  ", "x" * 129, "a\nb", "\ud800"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, KEY, 0)
            assert (await refused(store.branches.save(KEY, name))).code == "bad_key"

    run(scene())


def test_a_conversation_that_is_not_stored_has_no_branch(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            assert (await refused(store.branches.save(KEY, "b"))).code == "unknown"
            assert await store.branches.of(KEY) == ()

    run(scene())


def test_branches_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches_module, "MAX_BRANCHES", 3)

    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, KEY, 0)
            made = [await store.branches.save(KEY, str(index)) for index in range(3)]
            assert (await refused(store.branches.save(KEY, "4"))).code == "too_many"
            await store.branches.delete(KEY, made[0].branch)
            await store.branches.save(KEY, "4")

    run(scene())


def test_a_damaged_branch_is_set_aside_and_spoils_no_list(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, KEY, 0)
            await store.branches.save(KEY, "damaged")
            (path,) = (tmp_path / "memory" / "branches").rglob("*.json")
            path.write_bytes(b"?" + path.read_bytes()[1:])
            await store.branches.save(KEY, "whole")
            assert [each.name for each in await store.branches.of(KEY)] == ["whole"]

    run(scene())


def test_branches_of_the_older_gateway_are_taken_over(tmp_path: Path) -> None:
    def leave(session: str, name: str) -> str:
        id_ = f"{session}:branch:{name}:638752"
        history = [{"role": "user", "content": f"q {name}"}, {"role": "assistant", "content": "a"}]
        old = {
            "branchId": id_,
            "sessionId": session,
            "name": name,
            "createdAt": "2026-02-20T10:11:12+00:00",
            "history": history,
        }
        file = base64.urlsafe_b64encode(id_.encode()).rstrip(b"=").decode()
        directory = tmp_path / "memory" / "branches"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{file}.json").write_text(json.dumps(old))
        return id_

    id_ = leave(KEY, "mine")
    leave(OTHER, "foreign")

    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, KEY, 0)
            (found,) = await store.branches.of(KEY)
            assert (found.branch, found.name, found.turns, found.created_at) == (id_, "mine", 1, 1771582272.0)
            await store.branches.restore(KEY, id_)
            state = decode_state((await store.open_session(KEY)).state)
            assert [(each.user, each.answer) for each in state.window] == [("q mine", "a")]
            assert [each.name for each in await store.branches.of(OTHER)] == ["foreign"]

    run(scene())
