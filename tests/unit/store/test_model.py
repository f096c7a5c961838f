"""Any order of appends, failures, crashes and restarts, against a model of what may be lost: nothing acknowledged."""

from __future__ import annotations

import asyncio
import errno
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_actors.core.conversation import Conversation, apply, decode_state
from openclaw_actors.core.records import Record
from openclaw_actors.store import FileStore, StoreRefusal
from openclaw_actors.store.turns import read_names
from tests.unit.store.scene import Faults, as_json, began, ended, journal_of, options, user

KEYS = ("a", "b", "c")
keys = st.sampled_from(KEYS)
STEPS = ("open", "write", "flush", "flush directory", "rename")
"""Without `cut`: where a disk can neither write nor cut, a crash may bring back what its sender was refused."""


class Store(RuleBasedStateMachine):
    """The model of a session is its records: `durable` are on the disk, behind them stand those kept in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="oca-model-"))
        self.loop = asyncio.new_event_loop()
        self.files = Faults(sync=False)
        self.lives = 0
        self.acknowledged: dict[str, list[Record]] = {key: [] for key in KEYS}
        self.durable: dict[str, int] = dict.fromkeys(KEYS, 0)
        self.tokens: dict[str, int] = {}
        self.ill = False

    @initialize()
    def start(self) -> None:
        self.open()

    def open(self) -> None:
        async def opening() -> FileStore:
            return FileStore.open(
                options(
                    self.root / str(self.lives),
                    fsync=False,
                    write_backoff_s=0.001,
                    patient_backoff_s=30.0,
                    snapshot_every_records=4,
                    cached_sessions=1,
                    window_turns=3,
                ),
                files=self.files,
            )

        self.store = self.loop.run_until_complete(opening())
        self.tokens.clear()

    def state(self, key: str) -> Conversation:
        state = Conversation(key=key)
        for record in self.acknowledged[key]:
            apply(state, record, window_turns=3)
        return state

    def token(self, key: str) -> int:
        if key not in self.tokens:
            session, code = self.ask(self.store.open_session(key))
            assert code == ""
            assert as_json(decode_state(session.state)) == as_json(self.state(key))
            self.tokens[key] = session.token
        return self.tokens[key]

    def ask(self, future):  # type: ignore[no-untyped-def]
        """The answer, or the code of the refusal."""

        async def waiting():  # type: ignore[no-untyped-def]
            try:
                return await asyncio.wait_for(future, 30), ""
            except StoreRefusal as refusal:
                return None, refusal.code

        return self.loop.run_until_complete(waiting())

    @rule(key=keys, keep=st.booleans(), end=st.booleans(), text=st.text(max_size=40))
    def append(self, key: str, keep: bool, end: bool, text: str) -> None:
        state = self.state(key)
        number, seq = state.number, state.seq
        records: tuple[Record, ...]
        if state.open and end:
            message_id = state.open[0].message_id
            records = (
                began(number + 1, seq + 1, message_id),
                ended(number + 2, seq + 2, message_id, text),
            )
        else:
            records = (user(number + 1, seq + 1, f"m{number}", text),)
        stored, code = self.ask(self.store.append(key, self.token(key), records, keep=keep))
        if code:
            assert (code, self.ill, keep) == ("persistence_failed", True, False)
            return
        self.acknowledged[key] += records
        assert stored.number == len(self.acknowledged[key])
        assert stored.durable or (keep and self.ill)
        if stored.durable:
            self.durable[key] = stored.number

    @rule(key=keys)
    def repeat(self, key: str) -> None:
        """The acknowledgement was lost, and the sender asks again."""
        records = self.acknowledged[key]
        token = self.token(key)
        if records:
            _, code = self.ask(self.store.append(key, token, tuple(records[-1:]), keep=False))
            assert code in ("", "fenced")  # fenced: another incarnation wrote it

    @rule(key=keys)
    def close(self, key: str) -> None:
        _, code = self.ask(self.store.close_session(key, self.token(key)))
        if code:
            assert code == "dirty"
            assert self.durable[key] < len(self.acknowledged[key])
        else:
            del self.tokens[key]

    @rule(key=keys)
    def reload(self, key: str) -> None:
        self.tokens.pop(key, None)
        self.token(key)

    @rule(step=st.sampled_from(STEPS), code=st.sampled_from((errno.EIO, errno.ENOSPC)))
    def fall_ill(self, step: str, code: int) -> None:
        self.files.fail(step, code, path="sessions")
        self.ill = True

    @precondition(lambda self: self.ill)
    @rule()
    def recover(self) -> None:
        self.heal()
        assert self.loop.run_until_complete(self.store.flush(deadline_s=30))
        for key in KEYS:
            self.durable[key] = len(self.acknowledged[key])

    def heal(self) -> None:
        self.files.heal()
        self.ill = False

    @rule(torn=st.integers(0, 400), zeros=st.integers(0, 30))
    def crash(self, torn: int, zeros: int) -> None:
        """The next process finds the files of this moment, and at their ends what was being written."""
        before, self.lives = self.root / str(self.lives), self.lives + 1
        shutil.copytree(before / "memory", self.root / str(self.lives) / "memory")
        self.end()
        self.heal()
        for key in KEYS:
            path = journal_of(self.root / str(self.lives), key)
            if path.exists():
                *_, last = path.read_bytes().splitlines() or [b""]
                with path.open("ab") as file:
                    file.write(last[: min(torn, len(last) - 1)] + b"\0" * zeros)
            del self.acknowledged[key][self.durable[key] :]
        self.open()
        for key in KEYS:
            self.token(key)

    @rule()
    def restart(self) -> None:
        """In order: what only memory has is written if the disk takes it."""
        self.heal()
        assert self.loop.run_until_complete(self.store.flush(deadline_s=30))
        self.end()
        for key in KEYS:
            self.durable[key] = len(self.acknowledged[key])
        self.open()

    @invariant()
    def none_with_work_is_missing_from_the_list(self) -> None:
        if not hasattr(self, "store"):
            return
        names, complete = read_names(self.root / str(self.lives) / "memory" / "open-turns.jsonl")
        for key in KEYS:
            on_disk = Conversation(key=key)
            for record in self.acknowledged[key][: self.durable[key]]:
                apply(on_disk, record, window_turns=3)
            assert not complete or not on_disk.open or key in names

    def end(self) -> None:
        async def closing() -> None:
            self.store.close()
            await asyncio.sleep(0)

        self.loop.run_until_complete(closing())

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.end()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.root)


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
