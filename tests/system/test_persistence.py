"""The PersistenceActor as a process of its own: what it answers to messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.actors.persistence import PersistenceActor
from openclaw_actors.actorsystem import GatewaySystem
from openclaw_actors.config import GatewayConfig, encode
from openclaw_actors.config.sections import MemoryConfig
from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import TurnEnded, UserSaid
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Append,
    BranchSession,
    DeleteBranch,
    DeleteNote,
    Directory,
    FlushStore,
    Init,
    InitFailed,
    ListBranches,
    ListNotes,
    LoadNote,
    OpenSession,
    Ready,
    RestoreBranch,
    SaveNote,
    StoreHealthRequest,
)
from openclaw_actors.messages.events import Usage
from tests.system.actorsystem.stage import on_stage

KEY = "websocket:local:main"
Ask = Callable[[Any], Awaitable[Any]]


def with_actor(path: Path, play: Callable[[Ask, Any], Awaitable[None]]) -> None:
    settings = encode(GatewayConfig(memory=MemoryConfig(storage_path=str(path), lock_timeout_seconds=0.1)))

    async def run(system: GatewaySystem, puppet: Any) -> None:
        actor = await system.create(PersistenceActor)

        async def ask(message: Any) -> Any:
            return await system.endpoint.ask(actor, message, timeout_s=30)

        directory = Directory(generation=1, services={})
        init = Init(name="persistence", incarnation=1, instance="1", settings=settings, directory=directory)
        await play(ask, await ask(init))

    on_stage(run)


def records() -> tuple[Any, ...]:
    said = UserSaid(
        number=1,
        at=1.0,
        seq=1,
        message_id="m",
        text="hello",
        queued=0,
        delivery_id="d",
        channel="websocket",
        correlation_id="c",
    )
    ended = TurnEnded(
        number=2,
        at=2.0,
        seq=2,
        turn_id="turn-m",
        message_id="m",
        status="completed",
        text="hi",
        usage=Usage(),
    )
    return said, ended


def test_notes_and_branches_by_message(tmp_path: Path) -> None:
    async def play(ask: Ask, ready: Any) -> None:
        assert isinstance(ready, Ready)
        await ask(SaveNote(key="project:x", text="remember"))
        assert (await ask(LoadNote(key="project:x"))).text == "remember"
        assert (await ask(ListNotes(prefix="project:"))).keys == ("project:x",)
        assert (await ask(DeleteNote(key="project:x"))).existed
        assert (await ask(LoadNote(key="project:x"))).text is None
        with pytest.raises(AskRefused, match="bad_key"):
            await ask(SaveNote(key=" ", text="nowhere"))

        token = (await ask(OpenSession(session=KEY))).token
        await ask(Append(session=KEY, token=token, records=records(), when_exhausted="drop"))
        branch = await ask(BranchSession(session=KEY, name="first"))
        assert [each.name for each in (await ask(ListBranches(session=KEY))).branches] == ["first"]
        restored = await ask(RestoreBranch(session=KEY, branch=branch.branch))
        assert (restored.number, restored.durable) == (3, True)
        with pytest.raises(AskRefused, match="fenced"):
            await ask(Append(session=KEY, token=token, records=records(), when_exhausted="drop"))
        state = decode_state((await ask(OpenSession(session=KEY))).state)
        assert [each.user for each in state.window] == ["hello"]
        assert (await ask(DeleteBranch(session=KEY, branch=branch.branch))).existed
        assert (await ask(StoreHealthRequest())).writable
        await ask(FlushStore(deadline_s=10.0))
        with pytest.raises(AskRefused, match="unavailable"):
            await ask(OpenSession(session=KEY))

    with_actor(tmp_path / "memory", play)


@pytest.mark.parametrize("harm", ["a file", "newer", "unreadable list"])
def test_a_store_that_cannot_be_opened_says_why(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "memory"
    if harm == "a file":
        path.write_text("not a directory")
    else:
        path.mkdir()
        (path / "format").write_text("9\n" if harm == "newer" else "1\n")
        if harm == "unreadable list":
            (path / "open-turns.jsonl").mkdir()

    async def play(ask: Ask, answer: Any) -> None:
        assert isinstance(answer, InitFailed)
        assert str(path) in answer.reason

    with_actor(path, play)
