"""Nothing is written into a store that was migrated before its version was ready."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclaw_actors.actors.persistence import PersistenceActor
from openclaw_actors.config import encode, load
from openclaw_actors.messages import Directory, Init, Ping, Pong, Ready, SaveNote
from openclaw_actors.messages.persistence import NoteSaved
from openclaw_actors.store.files import Files
from openclaw_actors.store.undo import confirm, keep


@dataclass
class Transport:
    """Gives each answer to whoever waits for it."""

    loop: asyncio.AbstractEventLoop
    mailbox_depth: int = 0
    answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    def encode(self, value: Any) -> Any:
        return value

    def answer(self, _asker: Any, ask_id: int, _kind: Any, value: Any) -> None:
        self.answers[ask_id].set_result(value)


@dataclass
class Runtime:
    transport: Transport


def test_a_store_that_may_be_put_back_lives_and_takes_nothing_until_it_is_confirmed(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    (memory / "notes").mkdir(parents=True)
    (memory / "notes" / "old.json").write_text("{}")
    keep(memory, Files(), before=0, to=1)
    config = load(None, {}, {"state_dir": str(tmp_path)}).config

    async def scene() -> None:
        transport = Transport(asyncio.get_running_loop())
        actor: Any = PersistenceActor()
        actor._start(Runtime(transport))

        def ask(message: Any) -> asyncio.Future[Any]:
            number = len(transport.answers) + 1
            transport.answers[number] = transport.loop.create_future()
            actor._enter(message, None, number)
            return transport.answers[number]

        init = Init(
            name="persistence",
            incarnation=1,
            instance="i",
            settings=encode(config),
            directory=Directory(generation=0, services={}),
            secrets={},
        )
        assert isinstance(await ask(init), Ready)
        saving = ask(SaveNote(key="style", text="plain"))
        assert isinstance(await ask(Ping()), Pong)
        await actor._store._keep(lambda: None)  # what was to be saved before this would be
        assert not saving.done()
        assert [path.name for path in (memory / "notes").iterdir()] == ["old.json"]
        confirm(memory)
        assert isinstance(await saving, NoteSaved)
        await actor.on_stop()

    asyncio.run(asyncio.wait_for(scene(), 30))
