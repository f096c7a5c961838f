"""The outbox as the actor that sends sees it; and what is left of it after a crash at every step."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.core.records import ApprovalAsked
from openclaw_actors.messages.outbox import Delivery, NextReply
from openclaw_actors.store import FileStore
from openclaw_actors.store.files import Files
from tests.unit.store.scene import Faults, began, ended, opened, refused, run, turn, until, user

S, OTHER = "sms:+15551234567", "sms:+15557654321"


def delivery(seq: int, state: Any, *, session: str = S, **more: Any) -> Delivery:
    return Delivery(session=session, seq=seq, state=state, at=5_000.0, since=5_000.0, **more)


async def talk(store: FileStore, *turns: int, session: str = S) -> int:
    token = (await store.open_session(session)).token
    for index in turns:
        await store.append(session, token, turn(index), keep=True)
    return token


def waiting(store: FileStore) -> list[str]:
    return list(store.outbox.undelivered(100).sessions)


async def following(store: FileStore, session: str = S) -> tuple[int, str]:
    reply = await store.outbox.next(session)
    return reply.seq, reply.text


def test_replies_come_in_order_and_only_of_sessions_with_an_outbox(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0, 1)
            await talk(store, 0, session="websocket:local:main")
            assert waiting(store) == [S]
            assert await following(store) == (3, "answer to m0")
            await store.outbox.record(delivery(3, "sent", done=True))
            assert await following(store) == (6, "answer to m1")
            await store.outbox.record(delivery(6, "suppressed", done=True))
            assert await following(store) == (0, "")
            assert waiting(store) == []

    run(scene())


def test_the_next_process_knows_how_far_each_reply_has_come(tmp_path: Path) -> None:
    half = delivery(3, "sent", part=1, start=0, end=5, sids=("SM1",))

    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0)
            await talk(store, 0, session=OTHER)
            await store.outbox.record(half)
            await store.outbox.record(delivery(3, "dead", session=OTHER, done=True))
        with opened(tmp_path) as store:
            assert waiting(store) == [S]
            assert await store.outbox.next(S) == NextReply(
                session=S, seq=3, text="answer to m0", delivery=half, known_sids=("SM1",)
            )
            page = store.outbox.page((), 0, 10)
            assert [(each.session, each.state) for each in page.entries] == [(S, "sent"), (OTHER, "dead")]
            assert page.counts == {"sent": 1, "dead": 1}

    run(scene())


def test_an_empty_text_is_not_sent_and_a_failed_turn_is(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            token = await talk(store, 0)
            await store.outbox.record(delivery(3, "sent", done=True))
            stopped = msgspec.structs.replace(ended(6, 6, "m1", status="stopped"), text=" \n")
            await store.append(S, token, (user(4, 4, "m1"), began(5, 5, "m1"), stopped), keep=True)
            assert waiting(store) == []
            failed = ended(9, 9, "m2", "Sorry.", status="failed")
            await store.append(S, token, (user(7, 7, "m2"), began(8, 8, "m2"), failed), keep=True)
            assert await following(store) == (9, "Sorry.")

    run(scene())


def test_replies_are_found_behind_many_other_events(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            token = await talk(store, 0)
            records = [user(4, 4, "m1"), *(began(n, n, "m1", attempt=n) for n in range(5, 1_300))]
            await store.append(S, token, tuple(records), keep=True)
            await store.append(S, token, (ended(1_300, 1_300, "m1"),), keep=True)
            await store.outbox.record(delivery(3, "sent", done=True))
            assert await following(store) == (1_300, "answer to m1")

    run(scene())


def test_a_reply_that_only_memory_has_is_not_sent_until_the_disk_has_it(tmp_path: Path) -> None:
    async def scene() -> None:
        files = Faults()
        with opened(tmp_path, files=files, write_attempts=1) as store:
            token = await talk(store)
            await store.append(S, token, turn(0)[:2], keep=True)
            files.fail("write", errno.ENOSPC, path="/sessions/")
            stored = await store.append(S, token, turn(0)[2:], keep=True)
            assert not stored.durable
            assert await following(store) == (0, "")
            assert waiting(store) == [S]
            files.heal()
            await until(lambda: not store.dirty_sessions)
            assert await following(store) == (3, "answer to m0")

    run(scene())


def test_a_disk_that_does_not_take_a_note_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        files = Faults()
        with opened(tmp_path, files=files) as store:
            await talk(store, 0)
            files.fail("flush", errno.EIO, path="outbox")
            refusal = await refused(store.outbox.record(delivery(3, "prepared")))
            assert refusal.code == "persistence_failed"
            assert (await store.outbox.next(S)).delivery is None
            files.heal()
            await store.outbox.record(delivery(3, "retrying"))
        with opened(tmp_path) as store:
            reply = await store.outbox.next(S)
            assert reply.delivery is not None
            assert reply.delivery.state == "retrying"

    run(scene())


def test_what_was_set_aside_is_tried_again_or_purged(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0, 1)
            await store.outbox.record(delivery(3, "ambiguous", done=True))
            await store.outbox.record(delivery(6, "dead", done=True))
            assert (await refused(store.outbox.retry(S, 4, ()))).code == "unknown"
            assert (await refused(store.outbox.purge(OTHER, 0, ()))).code == "unknown"
            assert (await store.outbox.purge("", 0, ("dead",))).count == 1
            assert (await store.outbox.retry("", 0, ())).sessions == (S,)
            assert waiting(store) == [S]
            reply = await store.outbox.next(S)
            assert reply.delivery is not None
            assert (reply.seq, reply.delivery.repeat) == (3, True)
            await store.outbox.record(delivery(3, "sent", done=True))
            assert waiting(store) == []
            assert store.outbox.page((), 0, 10).total == 0

    run(scene())


def test_nothing_more_of_a_deleted_conversation_is_sent(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0, 1, 2)
            await talk(store, 0, session=OTHER)
            await store.outbox.record(delivery(3, "ambiguous", done=True))
            await store.outbox.record(delivery(6, "prepared"))
            await store.archiving.archive(S, "20260101T000000Z-00000001")
            assert waiting(store) == [OTHER]
            assert await following(store) == (0, "")
            states = [(each.seq, each.state) for each in store.outbox.page((), 0, 10).entries]
            assert (3, "ambiguous") in states
            assert (6, "prepared") not in states
            # Who was in the middle of it is told when it wants to go on; what became of the attempt is noted.
            assert (await refused(store.outbox.record(delivery(6, "retrying")))).code == "gone"
            assert (await refused(store.outbox.record(delivery(9, "prepared")))).code == "gone"
            await store.outbox.record(delivery(6, "sent", done=True))
            token = (await store.open_session(S)).token
            anew = (user(1, 10, "new"), began(2, 11, "new"), ended(3, 12, "new"))
            await store.append(S, token, anew, keep=True)
        with opened(tmp_path) as store:
            assert await following(store) == (12, "answer to new")
            assert set(waiting(store)) == {S, OTHER}
            await store.outbox.record(delivery(12, "sent", done=True))
            # Nor is it sent when the conversation comes back.
            await store.archiving.restore(
                S, "20260101T000000Z-00000001", replaced_as="20260102T000000Z-00000002"
            )
            assert await following(store) == (0, "")

    run(scene())


def test_what_is_tried_again_but_has_lost_its_conversation_is_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0)
            await store.outbox.record(delivery(3, "dead", done=True))
        shutil.rmtree(tmp_path / "memory" / "sessions")
        with opened(tmp_path) as store:
            await store.outbox.retry(S, 3, ())
            assert await following(store) == (0, "")
            assert waiting(store) == []

    run(scene())


def test_after_damage_what_waits_is_doubted_and_the_damaged_file_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0, session=OTHER)
            await talk(store, 0)
        journal = tmp_path / "memory" / "outbox.jsonl"
        damaged = journal.read_bytes().replace(OTHER.encode(), b"sms:+10000000000", 1)
        journal.write_bytes(damaged)
        for _ in range(2):  # it is still doubted after another restart
            with opened(tmp_path) as store:
                reply = await store.outbox.next(S)
                assert reply.delivery is not None
                assert (reply.delivery.state, reply.delivery.doubtful) == ("prepared", True)
        kept = list(journal.parent.glob("outbox.jsonl.damaged-*"))
        assert [each.read_bytes() for each in kept] == [damaged]

    run(scene())


class _Crashes(Files):
    """Keeps a copy of the store as it is on the disk before each step, and half-way through each write."""

    def __init__(self, root: Path, copies: Path) -> None:
        super().__init__(sync=False)
        self.root, self.copies = root, copies
        self.count = 0

    def copy(self) -> None:
        self.count += 1
        shutil.copytree(self.root, self.copies / str(self.count) / "memory")

    def write_at(self, descriptor: int, data: bytes, offset: int) -> None:
        self.copy()
        super().write_at(descriptor, data[: len(data) // 2], offset)
        self.copy()
        super().write_at(descriptor, data, offset)
        self.copy()

    def rename(self, source: Path, target: Path) -> None:
        self.copy()
        super().rename(source, target)
        self.copy()


STEPS = (
    ("prepared", {}),
    ("sent", {"sids": ("SM1",), "end": 5}),
    ("prepared", {"part": 2, "start": 5, "end": 9}),
    ("sent", {"sids": ("SM1", "SM2"), "done": True}),
)


def test_a_crash_at_any_step_loses_no_reply_and_forgets_no_step_that_was_acknowledged(tmp_path: Path) -> None:
    root, copies = tmp_path / "memory", tmp_path / "copies"
    root.mkdir()
    files = _Crashes(root, copies)
    acknowledged: list[tuple[int, str]] = []
    """(number of the copy after which it holds, what is acknowledged)"""

    async def live() -> None:
        with opened(tmp_path, files=files) as store:
            token = (await store.open_session(S)).token
            for index in range(2):
                await store.append(S, token, turn(index), keep=True)
                acknowledged.append((files.count, f"answer {index}"))
                for number, (state, more) in enumerate(STEPS):
                    await store.outbox.record(delivery(3 * index + 3, state, **more))  # type: ignore[arg-type]
                    acknowledged.append((files.count, f"step {index} {number}"))

    run(live())
    assert files.count > 20
    for copy in range(1, files.count + 1):
        run(_check_copy(copies / str(copy), {what for count, what in acknowledged if count < copy}))


async def _check_copy(path: Path, acknowledged: set[str]) -> None:
    with opened(path) as store:
        done = [index for index in range(2) if f"step {index} {len(STEPS) - 1}" in acknowledged]
        for index in range(2):
            if f"answer {index}" not in acknowledged or index in done:
                continue
            reply = await store.outbox.next(S)
            if reply.seq != 3 * index + 3:
                # The last step may have reached the disk without being acknowledged yet.
                assert f"step {index} {len(STEPS) - 2}" in acknowledged
                continue
            assert waiting(store) == [S]
            steps = [number for number in range(len(STEPS)) if f"step {index} {number}" in acknowledged]
            if steps:
                assert reply.delivery is not None
                later = [STEPS[steps[-1]], *STEPS[steps[-1] + 1 : steps[-1] + 2]]
                assert (reply.delivery.state, reply.delivery.part) in [
                    (state, more.get("part", 1)) for state, more in later
                ]
        for index in done:
            assert (await store.outbox.next(S)).seq != 3 * index + 3


def test_a_notice_whose_record_was_never_written_is_void_and_hides_no_later_reply(tmp_path: Path) -> None:
    async def scene() -> None:
        files = Faults()
        with opened(tmp_path, files=files, write_attempts=1) as store:
            token = await talk(store)
            await store.append(S, token, turn(0)[:2], keep=True)
            files.fail("write", errno.ENOSPC, path="/sessions/")
            await store.append(S, token, turn(0)[2:], keep=True)  # then the power fails
            shutil.copytree(tmp_path / "memory", tmp_path / "after" / "memory")
            files.heal()
        with opened(tmp_path / "after") as store:
            assert waiting(store) == [S]
            assert await following(store) == (0, "")
            assert waiting(store) == []
            token = (await store.open_session(S)).token
            await store.append(S, token, (ended(3, 3, "m0", "at last"),), keep=True)
            assert await following(store) == (3, "at last")

    run(scene())


def test_the_list_of_sessions_begins_with_the_longest_waiting(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await talk(store, 0, session=OTHER)
            await talk(store, 0)
            assert store.outbox.undelivered(1).sessions == (OTHER,)
            assert store.outbox.undelivered(9).sessions == (OTHER, S)

    run(scene())


def test_the_question_whether_a_tool_may_run_is_sent_too(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            token = (await store.open_session(S)).token
            question = ApprovalAsked(
                number=3,
                at=1_000.0,
                seq=3,
                turn_id="turn-m0",
                approval_id="9f3c1a-3",
                call_id="c",
                name="shell",
                arguments="{}",
                expires_at=2_000.0,
            )
            await store.append(S, token, (user(1, 1, "m0"), began(2, 2, "m0"), question), keep=True)
            text = "The tool shell asks for your approval: {}\nAnswer /approve 9f3c1a-3 or /deny 9f3c1a-3"
            assert await following(store) == (3, text)
            await store.outbox.record(delivery(3, "sent", done=True))
            assert await following(store) == (0, "")
            await store.append(S, token, (ended(4, 4, "m0"),), keep=True)
            assert (await following(store))[0] == 4

    run(scene())
