"""What may be retired is archived whole; whatever is in use stays as it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import ApprovalAsked, turn_id_of
from openclaw_actors.core.retention import Limits
from openclaw_actors.messages.outbox import Delivery
from openclaw_actors.store import FileStore
from tests.unit.store.scene import KEY, Faults, began, journal_of, opened, refused, run, turn, user

NAME = "20261126T000000Z-0123abcd"
SMS = "sms:+15551234567"


async def stored(store: FileStore, key: str = KEY, *, at: float = 1_000.0) -> None:
    token = (await store.open_session(key)).token
    await store.append(key, token, turn(0, at=at), keep=False)
    await store.close_session(key, token)


async def must_stay(store: FileStore, key: str, reason: str, *, idle_since: float = 2_000.0) -> None:
    refusal = await refused(store.archiving.archive(key, NAME, idle_since=idle_since))
    assert (refusal.code, reason in refusal.text) == ("in_use", True), refusal.text
    assert (await refused(store.archiving.check_idle(key, idle_since))).code == "in_use"


def test_what_is_in_use_stays_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(0), keep=False)
            await must_stay(store, KEY, "a process")
            await store.append(KEY, token, turn(1), keep=False)  # it is not fenced off
            await store.close_session(KEY, token)
            await must_stay(store, KEY, "used meanwhile", idle_since=999.0)

            token = (await store.open_session("websocket:local:open")).token
            await store.append("websocket:local:open", token, (user(1, 1, "m0"),), keep=False)
            await store.close_session("websocket:local:open", token)
            await must_stay(store, "websocket:local:open", "waits for its answer")
            assert [each.session for each in await store.open_turns()] == ["websocket:local:open"]

            await stored(store, SMS)
            await must_stay(store, SMS, "not sent")
            aside = Delivery(session=SMS, seq=3, state="ambiguous", at=1.0, since=1.0, done=True)
            await store.outbox.record(aside)
            await must_stay(store, SMS, "not sent")
            await store.outbox.purge(SMS, 3, ())
            await store.archiving.archive(SMS, NAME, idle_since=2_000.0)
            assert decode_state((await store.open_session(SMS)).state).turns == 0

    run(main())


def test_conversation_with_a_tool_that_waits_stays(tmp_path: Path) -> None:
    asked = ApprovalAsked(
        number=3,
        at=1_000.0,
        seq=3,
        approval_id="a1",
        turn_id=turn_id_of("m0"),
        call_id="c1",
        name="shell",
        arguments="{}",
        expires_at=9e9,
    )

    async def main() -> None:
        with opened(tmp_path) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, (user(1, 1, "m0"), began(2, 2, "m0"), asked), keep=False)
            await store.close_session(KEY, token)
            await must_stay(store, KEY, "")

    run(main())


def test_plan_knows_the_files_and_removes_only_old_archives(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            for name in ("old", "new", "older"):
                await stored(store, f"websocket:local:{name}")
            for name, at in (("old", 2_000.0), ("older", 1_000.0)):
                os.utime(journal_of(tmp_path, f"websocket:local:{name}"), (at, at))
            limits = Limits(max_age_s=86_400.0, archive_max_age_s=86_400.0)
            found = await store.retention.to_retire(limits)
            assert [each.session for each in found] == ["websocket:local:older", "websocket:local:old"]
            for each in found:
                await store.retention.check(each)
            assert await store.retention.to_retire(Limits(archive_max_age_s=1.0)) == []
            await store.archiving.archive("websocket:local:old", NAME)
            assert await store.retention.purge(limits, limit=10, dry_run=False) == ([], False)
            store.retention._now = lambda: 9e9
            for dry_run in (True, False):
                purged, more = await store.retention.purge(limits, limit=10, dry_run=dry_run)
                assert ([each.archive for each in purged], more) == ([NAME], False)
            assert await store.retention.purge(limits, limit=10, dry_run=False) == ([], False)

    run(main())


@pytest.mark.parametrize("step", ["rename", "flush directory"])
def test_conversation_that_cannot_be_archived_is_not_deleted(tmp_path: Path, step: str) -> None:
    async def main() -> None:
        faults = Faults()
        with opened(tmp_path, faults) as store:
            await stored(store)
            faults.fail(step, errno.EIO, path="archive")
            refusal = await refused(store.archiving.archive(KEY, NAME, idle_since=2_000.0))
            assert refusal.code == "persistence_failed"
            faults.heal()
            assert decode_state((await store.open_session(KEY)).state).turns == 1

    run(main())
