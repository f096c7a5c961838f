"""Tests that a hook's no is a no, that a broken one says no, and that a slow audit is in nobody's way."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_actors import logs
from openclaw_actors.linewriter import LineWriter
from openclaw_actors.messages import ToolCall
from openclaw_actors.tools import hooks as hooks_module
from openclaw_actors.tools.audit import Audit
from openclaw_actors.tools.hooks import HookedCall, HookedResult, Hooks, ToolHook, load_hooks

CALL = HookedCall(
    session="websocket:alice:main",
    principal="alice",
    turn_id="turn-m1",
    call=ToolCall(
        call_id="c", name="shell", arguments='{"command": "curl -H \'Authorization: Bearer abcdef\'"}'
    ),
)
OK = HookedResult(status="ok", text="done", seconds=0.5)


class Hook:
    """Does what a test wants."""

    name = "test hook"

    def __init__(self, before: Callable[[], bool] = lambda: True) -> None:
        self._before = before
        self.seen: list[str] = []

    async def before(self, call: HookedCall) -> bool:
        return self._before()

    async def after(self, call: HookedCall, result: HookedResult) -> None:
        self.seen.append(f"{call.call.name} {result.status}")


class Hangs(Hook):
    name = "hangs"

    async def before(self, call: HookedCall) -> bool:
        await asyncio.get_running_loop().create_future()
        return True


def fails() -> bool:
    raise KeyError("broken")


def chain(*found: ToolHook) -> Hooks:
    return Hooks(found, spawn=asyncio.ensure_future, noted=lambda call, result: None)


@pytest.mark.parametrize(
    ("hook", "denied"),
    [(Hook(), False), (Hook(lambda: False), True), (Hook(fails), True), (Hook(lambda: None), True)],  # type: ignore[arg-type, return-value]
    ids=["allows", "denies", "fails", "forgets to say"],
)
def test_only_a_yes_lets_a_tool_run(hook: Hook, *, denied: bool) -> None:
    expected = "Tool execution denied by hook: test hook" if denied else None
    assert asyncio.run(chain(Hook(), hook).denial(CALL)) == expected


def test_a_hook_that_hangs_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks_module, "HOOK_TIMEOUT_S", 0.01)
    assert asyncio.run(chain(Hangs()).denial(CALL)) == "Tool execution denied by hook: hangs"


def test_hooks_hear_of_the_end_and_one_that_fails_hides_it_from_nobody() -> None:
    class Broken(Hook):
        async def after(self, call: HookedCall, result: HookedResult) -> None:
            raise KeyError("broken")

    async def scene() -> list[str]:
        last = Hook()
        tasks: list[asyncio.Future[None]] = []
        both = Hooks(
            (Broken(), last),
            spawn=lambda coro: tasks.append(asyncio.ensure_future(coro)),
            noted=lambda call, result: None,
        )
        both.ended(CALL, OK)
        await asyncio.gather(*tasks)
        return last.seen

    assert asyncio.run(scene()) == ["shell ok"]


def test_hooks_are_loaded_by_name_and_one_that_is_missing_denies_everything() -> None:
    [found, missing] = load_hooks([f"{__name__}:Hook", "no.such.module:Hook"])
    assert found.name == "test hook"
    assert asyncio.run(chain(missing).denial(CALL)) == "Tool execution denied by hook: no.such.module:Hook"


def test_the_audit_holds_who_what_and_how_and_no_secret(tmp_path: Path) -> None:
    writer = LineWriter(logs.SharedFile(tmp_path / "audit.jsonl").write, what="audit")
    Audit(writer).note(CALL, OK)
    assert writer.close(5.0)
    [line] = (tmp_path / "audit.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert "abcdef" not in line
    assert found.pop("at").endswith("+00:00")
    assert found == {
        "session": "websocket:alice:main",
        "principal": "alice",
        "turn": "turn-m1",
        "call": "c",
        "tool": "shell",
        "arguments": '{"command": "curl -H \'Authorization: Bearer ***\'"}',
        "status": "ok",
        "seconds": 0.5,
        "result_chars": 4,
    }
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_lines_wait_while_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    written: list[bytes] = []
    writer = LineWriter(written.append, what="audit")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        writer.put(b"first")
    writer.put(b"second")
    assert writer.close(5.0)
    assert written == [b"first\n", b"second\n"]


def test_a_sink_that_hangs_costs_its_own_lines_only() -> None:
    opened = threading.Event()
    written: list[bytes] = []

    def write(line: bytes) -> None:
        opened.wait(10)
        written.append(line)

    writer = LineWriter(write, what="audit", max_queued=10)
    audit = Audit(writer)
    began_at = time.monotonic()
    for _ in range(1_000):
        audit.note(CALL, OK)
    assert time.monotonic() - began_at < 9
    assert not writer.close(0.01)
    assert writer.lost >= 989
    opened.set()
    assert writer.close(5.0)
    assert len(written) + writer.lost == 1_000
